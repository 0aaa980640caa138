"""Commands in processes that outlive us: each attempt is claimed once, supervised, and its outcome recorded on disk.

`supervisor`, `children`, `record` and `processes` use the standard library only, since the supervisor runs alone;
so does `launching`, which starts it.
`executor` is the orchestrator's side; it reads what they wrote. Nothing here knows the journal.
"""
