"""YAML in, one frozen `Definition` out; and the parameters that a saga of it is started with.

    diagnostics      what is wrong, where, and how it is shown; the codes
    tree, reading    bytes to a tree whose values know their places; limits; YAML 1.2
    shape            the tree against schema.json
    graph            which step comes before which
    sites            each command of each step, with what it inherits
    rules            what a schema can't say
    references, lint    where values may stand and which exist; where they would become code
    normalising      the tree to the model
    loading          `load`: all of the above in order
    parameters       values for a saga: `bind`, `parse_pairs`, `parse_params_file`

Knows nothing about journals, processes or running sagas.
"""
