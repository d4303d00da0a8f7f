"""Which property of the training data makes CLIP generalise: the library behind the stages."""

import time

# before other files of the library are read: `clipcause.runtime.unchanged` compares with it
STARTED_NS = time.time_ns()
