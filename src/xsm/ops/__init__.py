"""The operations, one module for each verb; `xsm.describe` makes every front door from them."""
