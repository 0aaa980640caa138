"""The command line: one file per command, `main` maps exceptions to exit codes, `wiring` names the adapters."""
