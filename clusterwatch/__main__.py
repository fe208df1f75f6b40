"""`python -m clusterwatch`: the same command as the installed one."""

from clusterwatch.cli import main

if __name__ == "__main__":
    main()
