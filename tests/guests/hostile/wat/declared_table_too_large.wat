;; Declares a table of 20 million elements: the host refuses the plugin or its instance.
(table $table 20000000 funcref)
