"""What the help of `%%ndsjob` teaches by example."""

CELLS = """
A script, its image and its limits:

    %%ndsjob --image python:3.12-slim --memory 1g --timeout 600
    print("hello from a container")

Variables of the notebook go in, and come back:

    %%ndsjob --in numbers --out ordered
    ordered = sorted(numbers)

Packages, installed once in an image that is built first:

    %%ndsjob --requirements numpy scipy>=1.11
    import scipy; print(scipy.__version__)

Data by its path, found in /data; what is written under /results is delivered:

    %%ndsjob --data study/heights.csv --output study/summary
    rows = open("/data/heights.csv").readlines()
    print(len(rows), file=open("/results/count.txt", "w"))

Another language: a shebang, or --cmd:

    %%ndsjob --image debian:12
    #!/bin/sh
    nproc

A long job, in the background:

    %%ndsjob --detach --name night --job night
    import time; time.sleep(36000)

The same script at many points, a job each:

    %%ndsjob --sweep lr=0.1,0.01 --sweep seed=range(5) --max-concurrent 4
    import os; print(os.environ["NDS_SWEEP_LR"], os.environ["NDS_SWEEP_SEED"])

Afterwards %ndslogs, %ndsget and %ndsstop take a job's id, name or variable, and mean the last job
without one; %ndsjobs lists them. If something does not work, %ndsdoctor says why.
"""
"""Cells that a notebook could hold."""
