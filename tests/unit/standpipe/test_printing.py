import pytest

from standpipe.printing import columns, print_json, print_table


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [1, None, "ü"]})

    assert capsys.readouterr().out == '{\n  "a": [\n    1,\n    null,\n    "ü"\n  ]\n}\n'


def test_a_row_is_one_line_whatever_its_length(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "text"), [("a", "x " * 400), ("b", "y")])
    head, first, second = capsys.readouterr().out.splitlines()

    assert head.split() == ["name", "text"]
    assert first.count("x") == 400
    assert second.split() == ["b", "y"]


def test_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [("[red]a[/red]",)])

    assert "[red]a[/red]" in capsys.readouterr().out


def test_texts_stand_to_the_left_and_numbers_to_the_right() -> None:
    rows = [("a", "1,234"), ("日本語", "5")]

    assert columns(("name", "count"), rows) == "name    count\na       1,234\n日本語      5\n"


def test_a_table_may_have_no_rows() -> None:
    assert columns(("name", "tag", "count"), [], names=2) == "name  tag  count\n"
