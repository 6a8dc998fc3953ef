"""An internet on one machine: what the scenario tests run against.

Each module is one ingredient: netns (a network of our own), ca (certificates, good and bad), dns
(a signed tree), sink (a receiver that misbehaves on request), peers (receivers we did not write)
and hopseal (the program under test).
"""
