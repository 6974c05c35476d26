"""The page of benchmarks: a program replaces its own section and leaves those of the others."""

from benchmarks.page import write_section


def test_each_section_is_replaced_where_it_stands_and_the_others_stay(tmp_path):
    page = tmp_path / "benchmarks.md"
    write_section(page, "# Times\n\n| a | 1 |\n")
    write_section(page, "# Memory\n\n## Of what\n\nb 1\n")
    write_section(page, "# Times\n\n| a | 2 |\n")
    assert page.read_text() == "# Times\n\n| a | 2 |\n\n# Memory\n\n## Of what\n\nb 1\n"
