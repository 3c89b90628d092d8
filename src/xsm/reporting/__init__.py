"""Figures and reports of soil moisture maps.

`scene` puts maps and cube together, `score_tables` and `station_days` score them, the `*_figures` draw, the `*sections`
arrange both on an `html_page`; `report` writes it, `single_figures` serves the ``plot_*`` operations.
"""
