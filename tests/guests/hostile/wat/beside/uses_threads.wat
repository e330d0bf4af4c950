;; Shares its memory between threads: the host refuses the feature.
(module (memory 1 1 shared))
