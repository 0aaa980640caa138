"""The rules of sagas, pure: no clock, no randomness, no I/O, the standard library only.

`tables` has the states, `saga` and `step` fold events, `decide` says what comes next, `judge` what an ended attempt
means, `operate` what a person may do. Time and random draws are arguments, and what was drawn is in an event.
"""
