"""Pure: chances with reasons, from a school's register as it was known on a day. No Django, no database.

A forecast is made in three layers. `evidence` counts what is known (layer 0: exact). `levels` pools each student's rate toward their own
last year and their group's, and `runs` carries it over the coming school days to a line of the law (layer 1). `glassbox` weighs the
answers of layer 1 by what closed years taught (layer 2): a sum of terms, each a curve in the model card. `training` makes a `Model` of closed
years, `forecasts` asks it, `judging` says whether it is worth asking. Begin with `forecasts.forecast`.

Nothing about a person is an input but their own marks, enrolment and grade: see `glassbox.TERMS`, which a test walks.
"""
