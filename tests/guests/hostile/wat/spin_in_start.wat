;; Calculates for ever when it is instantiated, before any export is called: the deadline must hold there too.
(func $forever (loop $again (br $again)))
(start $forever)
