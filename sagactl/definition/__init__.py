"""YAML in, one frozen `Definition` out; and the parameters that a saga of it is started with.

    diagnostics                    what is wrong, where, and how it is shown
    codes                          what each kind of problem is called; explanations.yaml says more
    tree, reading                  bytes to a tree whose values know their places; limits; YAML 1.2
    syntax, slips, faults          why a text is no YAML
    fields, foreign                fields that are unknown, and what was meant by them
    applying, shape, bad_values    the tree against schema.json
    graph                          which step comes before which
    sites                          each command of each step, with what it inherits
    rules, param_rules             what a schema can't say
    values, cpu                    does a value fit the rule of its parameter, and in how much time
    references                     where values may stand and which exist
    lint, code_places              where they would become code
    variables                      and where they become code by way of a variable
    effects, idle                  what has no effect
    normalising                    the tree to the model
    loading                        `load`: all of the above in order
    parameters                     values for a saga: `bind`, `check`, `parse_params_file`

Knows nothing about journals, processes or running sagas.
"""
