"""What a policy achieves as somebody assumes it, for `clusterwatch simulate`."""

NOT_MEASURED = """
[clusterwatch]
measured = false
false_restarts_per_day = 0.0
detect.all = { p50 = 8, p95 = 45, p99 = 60 }
decide.all = { p50 = 3, p95 = 20, p99 = 60 }
located.all = 0.99
mislocated.all = 0.002
diagnosed.all.same = 0.98
"""
