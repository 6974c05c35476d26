"""A report in its forms: terminal, JSON, JUnit, HTML, Model Explorer.

forms.py: table of the forms that go into files, each an option (--json, --html, --junit, --model-explorer)
ranking.py: order of the outputs in every form: culprit first, worst first
outcome_words.py: words for a runner, an output, inputs, a candidate: the same in every form
table.py: the terminal's table: how many outputs, columns that fit, closing line of each runner
json_report.py: writes and reads a report's JSON, whose form is that of verdict/report.py
schema.py: artifacts/report.schema.json
baseline.py: --baseline: what got worse since an earlier report, and by how much more it may be
junit.py: JUnit XML for Jenkins and GitLab: what fails and what is skipped; text that XML can't hold
model_explorer.py: node data for Google's Model Explorer
html_page.py: the HTML report: its parts put together into one file
report.html: its frame, style (the shades of good, warning, bad) and script: sorting, filtering
html_cards.py: a card for each runner: verdict, culprit, facts
html_chart.py: SVG chart of the error by depth: introduced and inherited
html_chart_names.py: names of outputs along the chart's axis: which ones have room
html_table.py: table of the outputs, sortable
html_tiles.py: small pictures of maps and their differences, within a budget of bytes
scan_page.py: the page of a scan: a row for each layer, with its histogram, range and dead channels
scan.html: its frame and style
html_text.py: escaping of names, errors with their digits, coloured labels (badges)
"""
