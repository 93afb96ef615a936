"""Configuration files as people and other systems write them: what is read as written, what is refused and how."""

import json
from pathlib import Path

import pytest
from pydantic import Field

from dad.errors import UserError
from dad.files import read_text
from dad.reading import parse_mapping
from dad.study.base import Frozen, parse_model, read_yaml
from dad.study.cells import load_study
from dad.study.config import OptimConfig, StudyConfig
from dad.study.settings import with_settings, workflow_study

MINI = Path(__file__).parents[1] / "config" / "mini.yaml"
PHOTOS = (
    "photos: {source: scenes, kinds: [indoor, outdoor, driving], count: 500, seed: 100000, height: 192, width: 256}"
)

BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)


class Inner(Frozen):
    text: str = ""
    named: dict[str, str] = Field(default_factory=dict)
    texts: tuple[str, ...] = ()
    maybe: str | None = None
    wholes: tuple[int, ...] = ()
    number: float | None = None


class Outer(Frozen):
    inner: Inner = Inner()


def study(old: str, new: str) -> StudyConfig:
    text = MINI.read_text()
    assert old in text
    return parse_model(StudyConfig, parse_mapping(text.replace(old, new, 1), source="study"), source="study")


@pytest.mark.parametrize(
    "written", ["no", "off", "123", "007", "1.10", "1e5", "0x1F", "2024-01-01", "12:30:00", "1_000", ".5", "yes"]
)
def test_text_is_what_was_written(written):
    values = parse_mapping(
        f"inner: {{text: {written}, named: {{{written}: {written}}}, texts: [{written}], maybe: {written}}}",
        source="file",
    )
    inner = parse_model(Outer, values, source="file").inner
    assert (inner.text, inner.named, inner.texts, inner.maybe) == (written, {written: written}, (written,), written)


def test_numbers_are_plain_numbers():
    inner = parse_model(
        Outer, parse_mapping("inner: {wholes: [1_000, 007, 0x10], number: 5e-5}", source="file"), source="file"
    ).inner
    assert inner.wholes == (1000, 7, 16) and {type(value) for value in inner.wholes} == {int}
    assert inner.number == 5e-5 and type(inner.number) is float


def test_precision_no_is_the_word():
    assert study("checkpoint_every: 50}", "checkpoint_every: 50, precision: no}").optim.precision == "no"
    # as Snakemake's own reader hands it on
    values = {"steps": 1, "batch": 1, "encoder_rate": 1e-4, "head_rate": 1e-4, "precision": False}
    assert parse_model(OptimConfig, values, source="optim").precision == "no"


@pytest.mark.parametrize("root", ["2024-01-01", "1.10", "007", "no", "1e5"])
def test_a_folder_may_be_called_like_a_number_or_a_date(root):
    assert study(PHOTOS, f"photos: {root}").photos.root == root
    assert study(PHOTOS, f"photos: {{source: folder, root: {root}}}").photos.root == root


def test_a_study_may_be_called_like_a_number():
    assert study("name: mini", "name: 0123").name == "0123"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps: 160", "steps: true", "optim.steps.*valid integer.*given true"),
        ("steps: 160", "steps: 1.5", "optim.steps.*1.5"),
        ("clip: 1.0", "clip: yes", "optim.clip.*number.*'yes'"),
        ("clip: 1.0", "clip: true", "optim.clip.*number.*given true"),
        ("clip: 1.0", "weight_decay: .inf", "optim.weight_decay.*finite.*given inf"),
        ("clip: 1.0", "weight_decay: .nan", "optim.weight_decay.*finite.*given nan"),
        ("clip: 1.0", "clip: 'nan'", "optim.clip.*finite"),
        ("flip: true", "flip: 1", "crop.flip.*boolean.*given 1"),
        ("seeds: [0]", "seeds: [0, 1, 0]", "seeds: 0 is given twice"),
        ("seeds: [0]", "seeds: [false]", "seeds.*integer.*false"),
        ("[indoor, outdoor, driving]", "[]", "kinds"),
        ("[indoor, outdoor, driving]", "[indoor, indoor]", "kinds: indoor is given twice"),
        ("[marigold]", "[marigold, marigold]", "protocols: marigold is given twice"),
        ("seeds: [0]", "seeds: [0]\nseeds: [1]", "'seeds' is given twice, first in line 4"),
        ("flip: true", "flip: true, flip: false", "'flip' is given twice"),
        ("featu", "featru", "architectures.midas-l.featrure: unknown key; did you mean 'feature'?"),
        ("name: mini", 'name: mini\nsamples: "a\\0b"', "samples"),
    ],
)
def test_a_wrong_value_names_key_and_value(old, new, message):
    with pytest.raises(UserError, match=message) as caught:
        study(old, new)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 3000, "nested too deeply"),
        ("a: " + "[" * 60 + "]" * 60, "nested too deeply"),
        ('{"a": ' * 3000, "nested too deeply|not valid JSON"),
        ("a: &a [*a]", "nested too deeply"),
        (BOMB, "200,000 values"),
        ("x: !!python/object/apply:os.system [true]", "not valid YAML"),
        ("x: !!timestamp x", "not valid YAML"),
        ("? [1]\n: 2", "a key must be a word"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ('{"name": [}', "not valid JSON"),
        ("{a: 1, a: 2}", "'a' is given twice"),
        ("- 1", "found a list"),
        ("", "found nothing"),
    ],
)
def test_what_is_no_configuration_is_one_line(text, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_mapping(text, source="file")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_of_other_systems_change_nothing(tmp_path, encoding, ends):
    file = tmp_path / "study.yaml"
    file.write_bytes(MINI.read_text().replace("small networks", "Räume").replace("\n", ends).encode(encoding))
    assert load_study(str(file)) == load_study(str(MINI)).model_copy(update={"description": "Räume on rendered scenes"})


@pytest.mark.parametrize(
    ("encoding", "message"), [("utf-16", "is encoded in UTF-16"), ("utf-32", "UTF-32"), ("latin-1", "byte 0xe4")]
)
def test_other_encodings_are_named(tmp_path, encoding, message):
    file = tmp_path / "study.yaml"
    file.write_bytes(MINI.read_text().replace("small networks", "Räume").encode(encoding))
    with pytest.raises(UserError, match=message):
        load_study(str(file))


def test_a_study_as_json_is_the_same_study(tmp_path):
    values = json.dumps(load_study(str(MINI)).model_dump(mode="json"))
    (tmp_path / "study.json").write_text("\ufeff" + values, encoding="utf-8")
    assert load_study(str(tmp_path / "study.json")) == load_study(values) == load_study(str(MINI))


def test_merge_keys_and_anchors_stay_usable():
    values = parse_mapping("base: &b {text: x, maybe: y}\ninner: {<<: *b, text: z}", source="file")
    assert values["inner"] == {"text": "z", "maybe": "y"}


def test_text_of_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot read .*: No such file"):
        read_text(tmp_path / "none")
    with pytest.raises(UserError, match="cannot read"):
        read_yaml("a\0b")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("optim.steps=8", lambda s: s.optim.steps == 8),
        ("loss.local_global=0.25", lambda s: s.loss.local_global == 0.25),
        ("seeds=[0, 1, 2]", lambda s: s.seeds == (0, 1, 2)),
        ("benchmarks.0.count=7", lambda s: s.benchmarks[0].count == 7),
        ("photos=2024-01-01", lambda s: s.photos.root == "2024-01-01"),
        ("optim.precision=no", lambda s: s.optim.precision == "no"),
        ("architectures.midas-s.size=64", lambda s: s.architectures["midas-s"].size == 64),
        ("estimators.midas=midas-v2.1-large-384", lambda s: s.estimators == {"midas": "midas-v2.1-large-384"}),
        ("samples=null", lambda s: s.samples is None),
        ("assistant=null", lambda s: s.assistant is None),
    ],
)
def test_one_value_is_set_by_its_dotted_name(setting, value):
    assert value(with_settings(load_study(str(MINI)), [setting], what="study mini"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optim.stpes=8", "optim.stpes: unknown key; did you mean 'steps'"),
        ("opitm.steps=8", "unknown key 'opitm'; did you mean 'optim'"),
        ("optim.steps=true", "optim.steps.*given true"),
        ("optim.steps", "write KEY=VALUE"),
        ("teacher.model=x", "teacher is one value and has no 'model'"),
        ("benchmarks.9.count=7", "'9' is no number of one of these 5"),
        ("optim.steps=[", "not valid YAML"),
    ],
)
def test_a_setting_that_cannot_be_made_is_one_line(setting, message):
    with pytest.raises(UserError, match=message) as caught:
        with_settings(load_study(str(MINI)), [setting], what="study mini")
    assert len(str(caught.value).splitlines()) == 1


def test_the_workflow_reads_files_and_single_values_over_each_other(tmp_path):
    over = tmp_path / "over.yaml"
    over.write_text("name: 007\noptim: {steps: 9, warmup: 3}\n")
    read = workflow_study([MINI, over], ["optim={batch: 2}", "photos=1.10", "seeds=[1,2]", "samples="])
    assert (read.name, read.optim.steps, read.optim.batch, read.optim.clip) == ("007", 9, 2, 1.0)
    assert (read.photos.root, read.seeds, read.samples) == ("1.10", (1, 2), None)


def test_json_of_many_keys_is_read_and_one_that_comes_twice_is_named():
    text = "{" + ", ".join(f'"key {number}": 1' for number in range(100_000)) + "}"
    assert len(parse_mapping(text, source="x")) == 100_000
    with pytest.raises(UserError, match="x: the key 'key 7' is given twice"):
        parse_mapping(text[:-1] + ', "key 7": 2}', source="x")
