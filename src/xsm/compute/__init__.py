"""How work is spread: tiles and blocks of models, threads, processes, clusters, and regions of stores."""
