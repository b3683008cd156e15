"""The method: what the EnTranNAS paper and its peers describe, on plain tensors.

Nothing here knows a file, a run, a setting or a page: it imports Python, numpy, torch and itself. To read it in order:

- `spaces`, `skeletons`, `genotype`: what is searched, how cells are stacked, and what a search finds.
- `methods`: a row a method; `relaxation`, `derivation`, `unrolled`: the equations that the rows name.
- `operations`, `cells`, `supernet`, `network`: the candidates, the Engine- and Transit-cells, and their two networks.
- `searcher`, `engine_cells`, `schedules`: the steps of a search, and what changes over its epochs; `trainer`, `recipe`:
  those of a training.
- `counting`, `prices`, `budget`, `knapsack`, `within`: what a network costs, and the search within a budget.
- `kernels`, `replay`, `processes`, `device`, `seeds`, `state`, `optimisation`: how all of that is computed and
  repeated.
"""
