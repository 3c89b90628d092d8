"""How work is spread: tiles and blocks of models, threads, processes, clusters, and chunk groups of stores."""
