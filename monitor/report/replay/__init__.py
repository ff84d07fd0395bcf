"""What came out of a replay, for every text and program, and as one HTML page.

figures.py   incidents, verdicts and stopped keys -> the figures, the one source of them
values.py    what the page shows, as frozen values
build.py     figures and hourly spend -> these values
words.py     what one may conclude, and what no replay shows
charts.py    the drawings        drawing.py  what they are made of        svg.py  how they get into a page
page.py      values -> HTML; `templates/` holds the page and its style sheet

Only `page` and what it draws with import matplotlib and jinja2: whoever does not make a page does not pay for them.
"""
