import pytest

from dad.errors import UserError
from dad.tracking import import_results


def test_import_shows_a_cell_as_its_files_say(kit, results, uri):
    assert str(kit.bring_in(results, uri)) == "3 new"
    name = kit.NAMES[1]
    cell = kit.CELLS[name]
    query = (
        f"tags.`dad.cell` = '{name}' and tags.mode = 'shared' and tags.normalization = '{cell.normalization}' and "
        "tags.seed = '0'"
    )
    (run,) = kit.active_runs(uri, query)
    assert run.info.run_name == f"shared-{cell.normalization} s0"
    assert run.info.status == "FINISHED"
    assert run.info.start_time == kit.STARTED.timestamp() * 1000
    assert run.info.end_time - run.info.start_time == 52_000
    expected = {
        "dad.study": "mini",
        "dad.tables": "table1",
        "teacher": "zoo/vit-large",
        "student": "zoo/vit-small",
        "init": "encoder",
    }
    expected |= {"protocol": "marigold@1", "git_commit": "c" * 40, "git_dirty": "true"}
    assert expected.items() <= run.data.tags.items()
    assert run.data.params["with.optim.steps"] == str(kit.STEPS)
    assert run.data.params["with.student.model"] == "zoo/vit-small"
    assert run.data.params["with.photos.kinds"] == "indoor, outdoor"
    assert run.data.params["with.loss.gradient"] == "2.0"
    factors = {key: value for key, value in run.data.params.items() if not key.startswith("with.")}
    assert factors == {"mode": "shared", "normalization": cell.normalization, "seed": "0"}
    for key in ("loss", "output_median", "rate"):
        assert kit.history(uri, run, key) == kit.curve(name, key)
    assert kit.history(uri, run, "abs_rel/scenes-indoor marigold") == [(0, 0.25)]
    assert kit.history(uri, run, "delta1/scenes-indoor marigold") == [(0, 0.5)]
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.digest == ("0123456789abcdef" * 4)[:36]
    (best,) = kit.active_runs(uri, f"metrics.`abs_rel/scenes-indoor marigold` < 0.3 and tags.`dad.cell` = '{name}'")
    assert best.info.run_id == run.info.run_id


def test_import_attaches_the_small_files_beside_the_database(kit, results, uri, database):
    kit.bring_in(results, uri)
    (run,) = kit.active_runs(uri, f"tags.`dad.cell` = '{kit.NAMES[0]}'")
    scores = {"scores-ablation.csv", "scores-ablation.json"}
    assert kit.artifacts(uri, run) == {"config.json", "metrics.csv", "provenance.json", "preview.png"} | scores
    stored = database.parent / "mlruns" / "mini" / "table1" / run.info.run_id / "artifacts"
    study = results / "mini"
    assert (stored / "config.json").read_bytes() == (study / "runs" / kit.NAMES[0] / "config.json").read_bytes()
    assert (stored / "scores-ablation.csv").read_bytes() == (
        study / "scores" / "ablation" / f"{kit.NAMES[0]}.csv"
    ).read_bytes()
    assert (stored / "preview.png").read_bytes() == (study / "previews" / f"{kit.NAMES[0]}.png").read_bytes()


def test_second_import_changes_nothing(kit, results, uri, database):
    kit.bring_in(results, uri)
    before = kit.dump(database)
    assert str(kit.bring_in(results, uri)) == "3 unchanged"
    assert kit.dump(database) == before


def test_changed_scores_replace_the_run(kit, results, uri):
    kit.bring_in(results, uri)
    kit.write_scores(results / "mini", kit.NAMES[0], abs_rel=0.125)
    assert str(kit.bring_in(results, uri)) == "1 replaced, 2 unchanged"
    assert len(kit.active_runs(uri)) == 2
    (run,) = kit.active_runs(uri, f"tags.`dad.cell` = '{kit.NAMES[0]}'")
    assert kit.history(uri, run, "abs_rel/scenes-indoor marigold") == [(0, 0.125)]
    assert kit.history(uri, run, "loss") == kit.curve(kit.NAMES[0])


def test_scores_that_arrive_later_are_shown(kit, results, uri):
    for path in (results / "mini" / "scores" / "ablation").iterdir():
        path.unlink()
    kit.bring_in(results, uri)
    kit.write_scores(results / "mini", kit.NAMES[0])
    # the table's own run names the protocol
    assert str(kit.bring_in(results, uri)) == "2 replaced, 1 unchanged"
    (run,) = kit.active_runs(uri, f"tags.`dad.cell` = '{kit.NAMES[0]}'")
    assert kit.history(uri, run, "abs_rel/scenes-indoor marigold") == [(0, 0.25)]
    assert kit.history(uri, run, "loss") == kit.curve(kit.NAMES[0])


def test_a_study_that_is_not_given_goes_into_one_experiment(kit, results, uri):
    import_results(results, uri)
    assert {run.info.run_name for run in kit.active_runs(uri, experiment="mini")} == set(kit.NAMES)
    # once the study is known the runs move to the table's experiment
    assert str(kit.bring_in(results, uri)) == "3 new, 2 removed"
    assert kit.active_runs(uri, experiment="mini") == []
    assert len(kit.active_runs(uri)) == 2


def test_unfinished_cells_wait_and_damaged_ones_are_named(kit, results, uri):
    (results / "mini" / "runs" / kit.NAMES[0] / "provenance.json").unlink()
    (results / "mini" / "runs" / kit.NAMES[1] / "config.json").write_text("{")
    report = kit.bring_in(results, uri)
    assert list(report.skipped) == [f"mini/{kit.NAMES[1]}"]
    assert str(report) == "1 skipped"
    assert kit.active_runs(uri) == []


def test_results_folder_must_exist_and_hold_studies(results, uri):
    with pytest.raises(UserError, match="does not exist"):
        import_results(results / "nothing", uri)
    with pytest.raises(UserError, match="folder of one study"):
        import_results(results / "mini", uri)
