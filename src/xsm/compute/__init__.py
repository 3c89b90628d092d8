"""How work is spread: dask graphs, threads, processes, clusters. The only room that knows them."""
