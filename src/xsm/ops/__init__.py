"""The operations, one module for each verb; `xsm.contracts.operation` makes every front door from them."""
