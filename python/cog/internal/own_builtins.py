"""A copy of the builtins for the runner alone: a model may replace ``len`` or ``open`` and must not
break its runner.

The functions of a module that says ``from cog.internal import own_builtins as __builtins__`` look
their names up here.
"""

import builtins

globals().update({name: value for name, value in vars(builtins).items() if name not in globals()})
