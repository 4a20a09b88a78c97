"""From a subscription into batches that a trio task puts somewhere safe: confirmed in order, and each envelope once.

`intake` takes what was checked on the island, and knows with `recognise` what came before; `crossing` brings it over;
`gathering` makes batches of it with `batcher`, and puts them away; `confirmations` lets the Dopplers forget them then.
"""
