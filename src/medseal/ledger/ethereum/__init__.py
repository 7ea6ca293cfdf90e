"""The ledger on an Ethereum network: a node, a contract, keys, and answers that can be trusted."""
