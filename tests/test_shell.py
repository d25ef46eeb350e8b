"""Cells run as in a notebook: the same outputs, magics and errors, and nothing that leaves the notebook."""

import base64

import pytest

PNG = b"\x89PNG\r\n"


@pytest.fixture
def outputs(execute):
    """The outputs of the last of some cells."""

    def run(*cells: str, **limits: float):
        execution = execute(*cells, **limits)
        return list(execution.cells[len(cells) - 1].outputs)

    return run


def text(outputs, name="stdout"):
    return "".join(output["text"] for output in outputs if output.get("name") == name)


# Outputs


def test_printed_text_is_one_output_of_its_stream(outputs):
    assert outputs("print('one')\nprint('two', end='')") == [
        {"output_type": "stream", "name": "stdout", "text": "one\ntwo"}
    ]


def test_standard_error_is_an_output_of_its_own(outputs):
    cell = "import sys\nprint('out')\nprint('err', file=sys.stderr)\nprint('again')"
    assert [(output["name"], output["text"]) for output in outputs(cell)] == [
        ("stdout", "out\n"),
        ("stderr", "err\n"),
        ("stdout", "again\n"),
    ]


def test_the_last_expression_is_the_result(outputs):
    assert outputs("a = 20", "a + 1\na + 22") == [
        {"output_type": "execute_result", "execution_count": 2, "data": {"text/plain": "42"}, "metadata": {}}
    ]


def test_a_semicolon_hides_the_result(outputs):
    assert outputs("42;") == []


def test_results_are_known_by_number_as_in_a_notebook(outputs):
    assert text(outputs("1 + 1", "print(_ + 1, Out[1], _1, In[1])")) == "3 2 2 1 + 1\n"


def test_a_skipped_cell_counts_as_a_cell(execute):
    execution = execute("import os\nos._exit(1)", "1 + 1")
    assert execution.cells[0].status == "killed"
    assert execution.cells[1].outputs[0]["execution_count"] == 2


def test_an_object_may_show_itself_as_html(outputs):
    (output,) = outputs("class Table:\n    def _repr_html_(self):\n        return '<b>7</b>'\nTable()")
    assert output["output_type"] == "execute_result"
    assert output["data"]["text/html"] == "<b>7</b>"
    assert "Table at" in output["data"]["text/plain"]


def test_html_can_be_displayed_but_not_scripts(outputs):
    (output,) = outputs(
        "from IPython.display import HTML, display\n"
        'display(HTML(\'<b onclick="evil()">bold</b><script>evil()</script><a href="javascript:evil()">x</a>\'))'
    )
    assert output["output_type"] == "display_data"
    assert "<b>bold</b>" in output["data"]["text/html"]
    assert "evil" not in output["data"]["text/html"]


def test_svg_and_javascript_are_left_out(outputs):
    (svg, script) = outputs(
        "from IPython.display import SVG, Javascript\n"
        "display(SVG(data='<svg><script>evil()</script></svg>'), Javascript('evil()'))"
    )
    assert set(svg["data"]) | set(script["data"]) == {"text/plain"}


def test_an_image_may_be_displayed(outputs):
    (output,) = outputs(f"from IPython.display import Image\nImage(data={PNG!r} + bytes(9))")
    assert base64.b64decode(output["data"]["image/png"]) == PNG + bytes(9)


def figures(outputs):
    return [output for output in outputs if "image/png" in output.get("data", {})]


def test_a_figure_is_drawn_at_the_end_of_its_cell(outputs):
    (figure,) = figures(outputs("import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nprint('before')"))
    assert base64.b64decode(figure["data"]["image/png"]).startswith(PNG)


def test_show_draws_at_once_and_only_once(outputs):
    cell = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);\nplt.show()\nprint('after')"
    kinds = [output["output_type"] for output in outputs(cell)]
    assert kinds == ["display_data", "stream"]


def test_the_next_cell_has_no_figure_of_the_last(outputs):
    assert figures(outputs("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", "print('no figure')")) == []


def test_control_characters_are_left_out_of_text(outputs):
    assert text(outputs("print('a\\x1b[31mb\\x07c\\td')")) == "a[31mbc\td\n"


def test_cleared_output_is_gone(outputs):
    assert (
        text(outputs("from IPython.display import clear_output\nprint('old')\nclear_output()\nprint('new')")) == "new\n"
    )


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("print('x' * 5000)", "x" * 1024 + "\n[the rest of the output was cut off]\n"),
        ("for _ in range(500):\n    print('x' * 10)", "[the rest of the output was cut off]\n"),
        ("'x' * 5000", "[output left out: it is too large]\n"),
    ],
    ids=["at once", "bit by bit", "a result"],
)
def test_output_beyond_the_limit_is_cut_and_says_so(outputs, cell, kept):
    found = text(outputs(cell, output_kb=1))
    assert found.endswith(kept)
    assert len(found) < 1200


def test_each_cell_has_its_own_limit(outputs):
    assert text(outputs("print('x' * 5000)", "print('next')", output_kb=1)) == "next\n"


# Errors


def test_an_error_is_told_with_its_line_and_what_came_before_stays(execute):
    execution = execute("print('before')\nx = 1\nraise ValueError('no good')", "print('next', x)")
    first, second = execution.cells[0], execution.cells[1]
    assert (first.status, first.fault.name, first.fault.message, first.fault.line) == (
        "raised",
        "ValueError",
        "no good",
        3,
    )
    assert first.outputs[0]["text"] == "before\n"
    assert first.outputs[1] == {
        "output_type": "error",
        "ename": "ValueError",
        "evalue": "no good",
        "traceback": ["line 3, in <module>", "    raise ValueError('no good')", "ValueError: no good"],
    }
    assert (second.status, text(second.outputs)) == ("ok", "next 1\n")


def test_the_line_is_that_of_the_students_code_not_of_a_library(execute):
    execution = execute("import numpy as np\n\nnp.zeros(3).reshape(2, 2)")
    assert execution.cells[0].fault.line == 3
    execution = execute("import json\njson.loads('{')")
    assert execution.cells[0].fault.line == 2


def test_the_line_is_that_in_the_function_that_raised(execute):
    execution = execute("def f(x):\n    return 1 / x", "f(0)")
    assert (execution.cells[1].fault.name, execution.cells[1].fault.line) == ("ZeroDivisionError", 2)


def test_a_syntax_error_costs_its_cell_and_tells_the_line(execute):
    execution = execute("x = 1\nif x:\nprint(x)", "print('next')")
    assert (execution.cells[0].fault.name, execution.cells[0].fault.line) == ("IndentationError", 3)
    assert text(execution.cells[1].outputs) == "next\n"


def test_a_name_that_is_not_there_is_told(execute):
    fault = execute("print(missing)").cells[0].fault
    assert (fault.name, fault.message) == ("NameError", "name 'missing' is not defined")


def test_an_exception_that_can_not_be_written_down_is_known_by_its_name(execute):
    cell = "class Evil(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Evil"
    fault = execute(cell).cells[0].fault
    assert (fault.name, fault.message, fault.line) == ("Evil", "", 4)


def test_an_address_is_not_told_because_it_differs_each_time(execute):
    fault = execute("raise ValueError(object())").cells[0].fault
    assert fault.message == "<object object at 0x...>"


# What a notebook can do beyond Python


@pytest.mark.parametrize(
    "cell",
    [
        "%matplotlib inline",
        "%config InlineBackend.figure_format = 'retina'",
        "%load_ext autoreload\n%autoreload 2",
        "%time x = 1",
        "%%time\nx = 1",
        "%timeit -n1 -r1 1 + 1",
        "%%capture\nprint('captured')",
        "%pwd",
        "%env",
        "%who",
        "%precision 3",
        "?print",
        "%%writefile notes.txt\ntext",
        "%%javascript\nalert(1)",
        "%%html\n<b>bold</b>",
    ],
)
def test_magics_work(execute, cell):
    execution = execute(cell, "print('next')")
    assert execution.cells[0].status == "ok"
    assert text(execution.cells[1].outputs) == "next\n"


@pytest.mark.parametrize(
    "cell",
    [
        "!pip install anything",
        "!ls",
        "files = !ls",
        "%pip install anything",
        "%conda install anything",
        "%%bash\nls",
        "%%sh\nls",
        "%%script python\nprint(1)",
        "%sx ls",
        "%system ls",
        "!!ls",
        "get_ipython().system('ls')",
        "get_ipython().getoutput('ls')",
    ],
)
def test_shell_commands_are_not_run_and_stop_nothing(execute, cell):
    execution = execute(f"{cell}\n", "print('next')")
    assert execution.cells[0].status == "ok"
    assert text(execution.cells[0].outputs) == "Shell commands are not run while grading.\n"
    assert text(execution.cells[1].outputs) == "next\n"


def test_a_cell_with_a_shell_command_still_defines_its_functions(outputs):
    assert text(outputs("!pip install torch\ndef f():\n    return 7", "print(f())")) == "7\n"


def test_input_is_refused_with_a_remedy(execute):
    fault = execute("name = input('your name: ')").cells[0].fault
    assert fault.message == "input() is not available while grading: pass the value as an argument"


@pytest.mark.parametrize("leave", ["exit()", "quit()", "exit", "quit", "import sys\nsys.exit()", "raise SystemExit"])
def test_leaving_ends_nothing(execute, leave):
    assert text(execute(leave, "print('next')").cells[1].outputs) == "next\n"


def test_await_works_at_the_top_of_a_cell(outputs):
    assert text(outputs("import asyncio\nawait asyncio.sleep(0)\nprint('awaited')")) == "awaited\n"


def test_an_unknown_magic_costs_its_cell(execute):
    execution = execute("%no_such_magic", "print('next')")
    assert execution.cells[0].fault.message == "Line magic function `%no_such_magic` not found."
    assert text(execution.cells[1].outputs) == "next\n"


def test_a_file_that_one_cell_writes_the_next_can_read(outputs):
    assert text(outputs("%%writefile notes.txt\nhello", "print(open('notes.txt').read())")) == "hello\n\n"


def test_a_module_that_one_cell_writes_the_next_can_import(outputs):
    assert text(outputs("%%writefile helper.py\nx = 7", "import helper\nprint(helper.x)")) == "7\n"


def test_the_notebook_is_main(outputs):
    assert text(outputs("if __name__ == '__main__':\n    print('main')")) == "main\n"


def test_classes_and_dataclasses_of_one_cell_serve_the_next(outputs):
    cells = (
        "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int",
        "import pickle\nprint(pickle.loads(pickle.dumps(Point(3))))",
    )
    assert text(outputs(*cells)) == "Point(x=3)\n"


def test_a_warning_is_shown_on_standard_error(outputs):
    assert "careful" in text(outputs("import warnings\nwarnings.warn('careful')"), "stderr")


def test_logging_can_be_seen(outputs):
    assert "seen" in text(outputs("import logging\nlogging.warning('seen')"), "stderr")
