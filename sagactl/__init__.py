"""sagactl: transactions for shell commands.

A saga is its journal: `replay(events)` gives the saga, `evolve(saga, event)` one step of it, `decide(saga, now_s)` what
comes next. An intent is durable before its effect, an outcome after it; going on after a crash is replay and decide.

Floors, low to high; a module imports only from floors below it:

    errors, plain, digest, template, model    exceptions with exit codes; JSON; SHA-256; `${…}`; what a saga is made of
    core/                              pure: events, the two tables, decide, judge, what an operator may do, codec
    ports                              what the engine needs of a journal, an executor and a clock
    definition/ journal/ execution/ clock signals    YAML in; SQLite; processes that outlive us; time; Ctrl-C
    engine                             the loop: decide, record, execute, record; signals
    cli/                               one file per command; main maps exceptions to exit codes; wiring names adapters
"""

__version__ = "0.1.0"
