"""`dad premises`."""

import argparse

from dad.cli._options import device, device_option, positive, set_option, study_option

HELP = "whether the conditions of the paper's effects hold for a teacher and photos, before anything is trained"
ABOUT = """\
Measures, on some of the study's photos: whether the teacher's own label of a patch is better than its label of the
square cut out there (where depth is known: rendered scenes, or the study's pairs), how far the affine frames of patches
lie apart, how far an error of one region moves the normalised labels of all others, and, of finished runs, which share
of the objective each term has. Writes premises.json, premises.csv (one row per patch), premises.md and premises.png,
and says which premise holds.
"""
EXAMPLE = "dad premises --config config/mini.yaml --out premises"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad premises`."""
    study_option(parser)
    set_option(parser)
    where = "premises in the study's folder of results, where tables and the page look"
    parser.add_argument("--out", help=f"folder to write into (default: {where})")
    parser.add_argument("--count", type=positive, default=24, help="photos (default: %(default)s)")
    parser.add_argument("--draws", type=positive, default=2, help="crops of each photo (default: %(default)s)")
    parser.add_argument(
        "--run", dest="runs", action="append", default=[], metavar="DIR", help="a finished run; may be repeated"
    )
    device_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure premises, write them down, and print a line each."""
    from pathlib import Path

    from dad.outputs import check_outputs
    from dad.premises import gather
    from dad.report.premises import MARKS, write_premises
    from dad.study.cells import load_study
    from dad.study.config import ScenePhotos
    from dad.study.layout import Layout
    from dad.study.settings import with_settings

    study = with_settings(load_study(arguments.config), arguments.settings, what=arguments.config)
    out = Path(arguments.out) if arguments.out else Layout(study).premises
    photos = {} if isinstance(study.photos, ScenePhotos) else {"photos.root": study.photos.root}
    check_outputs(folders={"--out": out}, searched=photos, read={"--config": arguments.config, "--run": arguments.runs})
    facts, rows = gather(
        study,
        count=arguments.count,
        draws=arguments.draws,
        runs=[Path(one) for one in arguments.runs],
        device=device(arguments.device),
    )
    write_premises(facts, rows, out)
    for one in facts["premises"]:
        print(f"{MARKS[one['holds']]}: {one['statement']} {one['finding']}")
    print(out / "premises.md")
