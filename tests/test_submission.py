"""Submissions: what a student may hand in, of any editor and any age, and what is said of what is no notebook."""

import json

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.submission import Submission, SubmissionError, read_notebook

CODE = {"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": [], "execution_count": None}


def file(folder, content, name="tiny.ipynb"):
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def notebook(*cells, minor=5, **more):
    return {"nbformat": 4, "nbformat_minor": minor, "metadata": {}, "cells": list(cells), **more}


def cell(**changed):
    return {**CODE, **changed}


def sources(path):
    read = Submission.read(path)
    assert not read.fault
    return [source for _, source in read.cells]


def fault(path):
    read = Submission.read(path)
    assert not read.cells
    return read.fault


# What is read


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 4, 5])
def test_notebooks_of_every_minor_version_are_read(tmp_path, minor):
    content = notebook(cell(), minor=minor)
    if minor == 5:
        content["cells"][0]["id"] = "first"
    assert sources(file(tmp_path, content)) == ["x = 1"]


def test_a_notebook_of_format_3_is_read(tmp_path):
    old = nbformat.v3.new_notebook(
        worksheets=[
            nbformat.v3.new_worksheet(
                cells=[
                    nbformat.v3.new_text_cell("markdown", source="# Title"),
                    nbformat.v3.new_code_cell(input="x = 1", prompt_number=3),
                ]
            )
        ]
    )
    path = file(tmp_path, nbformat.v3.writes_json(old))
    assert Submission.read(path).cells == ((1, "x = 1"),)


def test_code_cells_are_known_by_their_position_and_empty_ones_are_left_out(tmp_path):
    markdown = {"cell_type": "markdown", "source": "# Title", "metadata": {}}
    path = file(tmp_path, notebook(markdown, cell(), cell(source=" \n"), cell(source="y = 2")))
    assert Submission.read(path).cells == ((1, "x = 1"), (3, "y = 2"))


def test_a_source_may_be_a_list_of_lines(tmp_path):
    assert sources(file(tmp_path, notebook(cell(source=["x = 1\n", "y = 2"])))) == ["x = 1\ny = 2"]


@pytest.mark.parametrize(
    "missing", ["outputs", "execution_count", "metadata"], ids=lambda missing: f"without {missing}"
)
def test_what_an_editor_leaves_out_is_filled_in(tmp_path, missing):
    content = notebook({key: value for key, value in CODE.items() if key != missing})
    assert sources(file(tmp_path, content)) == ["x = 1"]


def test_the_metadata_of_a_notebook_may_be_missing(tmp_path):
    content = notebook(cell())
    del content["metadata"]
    assert sources(file(tmp_path, content)) == ["x = 1"]


def test_markdown_cells_with_outputs_are_read(tmp_path):
    odd = {"cell_type": "markdown", "source": "# T", "metadata": {}, "outputs": [], "execution_count": 3}
    assert sources(file(tmp_path, notebook(odd, cell()))) == ["x = 1"]


@pytest.mark.parametrize(
    "ids",
    [["same", "same"], ["", "b"], ["a b", "c"], [7, None], ["x" * 100, "b"], ["cell-1", "cell-1"], ["cell-1", None]],
)
def test_cell_ids_that_are_missing_or_doubled_or_no_ids_are_repaired(tmp_path, ids):
    path = file(tmp_path, notebook(cell(id=ids[0]), cell(id=ids[1], source="y = 2")))
    assert sources(path) == ["x = 1", "y = 2"]
    repaired = [one["id"] for one in read_notebook(path).cells]
    assert len(set(repaired)) == 2


def test_a_good_cell_id_stays(tmp_path):
    path = file(tmp_path, notebook(cell(id="mine"), cell(id="yours")))
    assert [one["id"] for one in read_notebook(path).cells] == ["mine", "yours"]


def test_a_students_outputs_count_for_nothing_and_may_be_broken(tmp_path):
    broken = [{"output_type": "execute_result"}, {"nonsense": 1}, 7]
    path = file(tmp_path, notebook(cell(outputs=broken)))
    assert read_notebook(path).cells[0].outputs == []


def test_metadata_of_other_editors_does_no_harm(tmp_path):
    metadata = {"colab": {"provenance": []}, "vscode": {"interpreter": {"hash": "0"}}, "kernelspec": {"name": "x"}}
    path = file(tmp_path, notebook(cell(metadata={"id": "a", "deletable": "no", "tags": []}), metadata=metadata))
    assert sources(path) == ["x = 1"]
    assert sources(file(tmp_path, notebook(cell(metadata=[]), metadata=3))) == ["x = 1"]


def test_nbgraders_metadata_of_a_cell_stays(tmp_path):
    mark = {"grade_id": "test_centered", "schema_version": 3}
    path = file(tmp_path, notebook(cell(metadata={"nbgrader": mark, "tags": ["mine"]})))
    assert read_notebook(path).cells[0].metadata == {"nbgrader": mark}


def test_a_byte_order_mark_does_no_harm(tmp_path):
    assert sources(file(tmp_path, b"\xef\xbb\xbf" + json.dumps(notebook(cell())).encode())) == ["x = 1"]


def test_bytes_that_are_no_utf_8_cost_only_themselves(tmp_path):
    text = json.dumps(notebook(cell(source="# caf@"))).encode().replace(b"@", b"\xe9")
    assert sources(file(tmp_path, text)) == ["# caf\ufffd"]


@pytest.mark.parametrize(
    "name", ["Übung 5 – final (2).ipynb", "作業.ipynb", "a'b\"c.ipynb", "$(rm -rf).ipynb", "no extension"]
)
def test_a_file_may_have_any_name(tmp_path, name):
    read = Submission.read(file(tmp_path, notebook(cell()), name))
    assert read.name == name
    assert not read.fault


def test_a_notebook_without_cells_is_a_submission_without_cells(tmp_path):
    read = Submission.read(file(tmp_path, notebook()))
    assert (read.cells, read.fault) == ((), "")


def test_the_digest_is_that_of_the_file(tmp_path):
    first = Submission.read(file(tmp_path, notebook(cell())))
    again = Submission.read(file(tmp_path, notebook(cell()), "other name.ipynb"))
    other = Submission.read(file(tmp_path, notebook(cell(source="x = 2"))))
    assert first.digest == again.digest != other.digest


# What is no notebook


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty. Save the notebook, and hand it in again."),
        (b" \n\t", "The file is empty. Save the notebook, and hand it in again."),
        (b"\xef\xbb\xbf", "The file is empty. Save the notebook, and hand it in again."),
        (
            b"print('a script')",
            "The file is not a notebook (it is not JSON: Expecting value: line 1 column 1 (char 0)).",
        ),
        (b"PK\x03\x04\x00", "The file is not a notebook (it is not JSON: Expecting value: line 1 column 1 (char 0))."),
        (b'{"cells": [', "The file is not a notebook (it is not JSON: Expecting value: line 1 column 12 (char 11))."),
        (b"{}", "The file is JSON, but not a notebook: it has no cells."),
        (b"[1, 2]", "The file is JSON, but not a notebook: it has no cells."),
        (b"null", "The file is JSON, but not a notebook: it has no cells."),
        (b'"cells"', "The file is JSON, but not a notebook: it has no cells."),
    ],
)
def test_what_is_no_notebook_is_told_why(tmp_path, content, message):
    assert fault(file(tmp_path, content)) == message


@pytest.mark.parametrize(
    "content",
    [
        {"cells": 5},
        {"cells": None, "nbformat": 4, "nbformat_minor": 5, "metadata": {}},
        {"cells": {"a": 1}, "nbformat": 4, "nbformat_minor": 5, "metadata": {}},
        notebook(7),
        notebook(None),
        notebook([]),
        notebook({}),
        notebook(cell(cell_type="party")),
        notebook(cell(cell_type=None)),
        notebook(cell(source=7)),
        notebook(cell(source=[1, 2])),
        notebook(cell(source={"a": 1})),
        notebook(cell(), nbformat=99),
        notebook(cell(), nbformat="four"),
        notebook(cell(), nbformat=None),
        notebook(cell(), nbformat_minor="x"),
        {"worksheets": 3, "nbformat": 3},
        {"worksheets": [], "nbformat": 2, "cells": []},
    ],
    ids=lambda content: json.dumps(content)[:60],
)
def test_a_notebook_that_is_none_inside_is_told_why(tmp_path, content):
    path = file(tmp_path, content)
    with pytest.raises(SubmissionError):
        read_notebook(path)
    assert fault(path).startswith("The file is not a valid notebook (")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"cells": ' * 100_000,
        '{"cells": [' + '{"a":' * 20_000 + "1" + "}" * 20_000 + "]}",
        json.dumps(notebook(cell(metadata={}))).replace(
            '"metadata": {}', '"metadata": ' + '{"a":' * 900 + "1" + "}" * 900
        ),
    ],
    ids=["brackets", "cells in cells", "a deep cell", "deep metadata"],
)
def test_deep_json_is_no_crash(tmp_path, text):
    read = Submission.read(file(tmp_path, text))
    assert read.fault or read.cells


def test_a_file_that_is_too_large_is_not_parsed(tmp_path):
    path = tmp_path / "large.ipynb"
    with path.open("wb") as large:
        large.truncate(101 * 2**20)  # a sparse file takes no space
    assert fault(path) == "The file is larger than 100 MB. Clear its outputs, and hand it in again."


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(
            st.sampled_from("cells cell_type source metadata outputs id nbformat nbformat_minor worksheets".split()),
            part | st.sampled_from(["code", "markdown", "x = 1", 3, 4]),
            max_size=5,
        )
    ),
)


@given(content=json_values)
@settings(deadline=None)
def test_no_json_breaks_the_reader(tmp_path_factory, content):
    read = Submission.read(file(tmp_path_factory.getbasetemp(), content, "fuzz.ipynb"))
    assert read.fault or all(isinstance(source, str) for _, source in read.cells)


@given(content=st.binary(max_size=100))
@settings(deadline=None)
def test_no_bytes_break_the_reader(tmp_path_factory, content):
    read = Submission.read(file(tmp_path_factory.getbasetemp(), content, "fuzz.ipynb"))
    assert read.fault or read.cells == ()


# From memory, as nbgrader hands it over


def test_a_submission_from_memory_has_the_cells_of_its_notebook():
    made = nbformat.from_dict(notebook(cell(), cell(source="")))
    assert Submission.of("tiny.ipynb", made).cells == ((0, "x = 1"),)


def test_a_submission_from_memory_that_could_not_be_read_has_no_cells():
    made = nbformat.from_dict(notebook(cell()))
    read = Submission.of("tiny.ipynb", made, fault="The file is empty.")
    assert (read.cells, read.fault) == ((), "The file is empty.")


# What would cost the grader more than a notebook may


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([cell()] * 100_000, "The notebook has 100,000 cells: 2,000 are the most."),
        (
            [cell(source="x = 1\n" * 2_000_000)],
            "The notebook has 12,000,000 characters of code: 10,485,760 are the most.",
        ),
        (
            [{"cell_type": "markdown", "source": "[" * 600_000, "metadata": {}}] * 2,
            "The notebook has 1,200,000 characters of text: 1,048,576 are the most.",
        ),
        (
            [cell(outputs=[[]] * 4_000_001)],
            "The file has millions of parts. Clear its outputs, and hand it in again.",
        ),
    ],
    ids=["cells", "code", "text", "parts"],
)
def test_a_notebook_of_inhuman_size_is_told_what_is_too_much(tmp_path, cells, message):
    assert fault(file(tmp_path, notebook(*cells))) == message


def test_large_outputs_below_that_size_do_no_harm(tmp_path):
    output = {"output_type": "stream", "name": "stdout", "text": "x" * 90_000_000}
    assert sources(file(tmp_path, notebook(cell(outputs=[output])))) == ["x = 1"]


def test_pictures_that_an_editor_put_into_the_text_do_not_count(tmp_path):
    picture = f"![](data:image/png;base64,{'A' * 5_000_000})"
    text = {"cell_type": "markdown", "source": picture, "metadata": {}}
    assert sources(file(tmp_path, notebook(text, cell()))) == ["x = 1"]


@pytest.mark.parametrize("content", [b"", b'{"cells": []}'])
def test_a_link_to_somebody_elses_notebook_is_not_followed(tmp_path, content):
    theirs = tmp_path / "theirs.ipynb"
    theirs.write_bytes(content)
    (tmp_path / "mine.ipynb").symlink_to(theirs)
    assert fault(tmp_path / "mine.ipynb") == (
        "The file is a link, and no file. Save the notebook as a file, and hand it in again."
    )


@pytest.mark.parametrize("form", [4, 3])
def test_half_a_character_is_replaced(tmp_path, form):
    text = json.dumps(notebook(cell(source="x = '\ud83d'")))
    if form == 3:
        code = {"cell_type": "code", "input": "x = '\ud83d'", "metadata": {}, "outputs": [], "language": "python"}
        text = json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [code]}]})
    assert sources(file(tmp_path, text)) == ["x = '?'"]
