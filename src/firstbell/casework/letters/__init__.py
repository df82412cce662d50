"""Letters that can be defended: drafted from the law's own words, checked just before they are signed, frozen with their evidence.

`texts` holds what we offer to write, a folder a language; `wording` (pure) fills and judges a text; `facts` is what a letter may say of a
student; `checklist` is what its pack asks it to say; `preflight` looks at everything again; `deeds` drafts, edits, signs, withdraws and
apologises; `envelopes` (pure) says which addresses have a copy on paper; `pdf` sets a signed letter for print; `sending` puts one in the
outbox where the law's words allow e-mail. Nothing goes out that a person did not sign and then print, or send.
"""
