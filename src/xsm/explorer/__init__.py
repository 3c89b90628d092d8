"""The explorer: maps, days and series of a dataset in a browser, served to this machine alone, or saved as one page.

`products` says what can be shown, `blocks` reads days and keeps some, `places` reads what is known of a place; `server`
answers the page in ``page/``, `saved` writes a page that needs no server, and `view` starts it all.
"""
