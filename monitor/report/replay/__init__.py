"""What came out of a replay: figures.py for every text and program, and the HTML report made of them."""
