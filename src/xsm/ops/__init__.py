"""The operations, one module for each verb; `xsm.contracts.operation` makes every face from them."""
