"""A third satellite as a predictor: python example.py FOLDER."""

import sys
from pathlib import Path

import xsm
from xsm.twin import default_grid, make_world, write_world

folder = Path(sys.argv[1])
world = make_world(default_grid(16), 40, seed=0)
write_world(world, folder, ["smap", "nldas", "cgls_swi"])  # with real files, start at xsm.open

smap = xsm.open("smap", folder / "SMAP", region=default_grid(16), margin=0)
nldas = xsm.open("nldas", folder / "NLDAS", region=default_grid(16))
swi = xsm.open("cgls_swi", folder / "CGLS_SWI", region=default_grid(16))

cube = xsm.cube(smap.sm.gapfill("linear"), *(d.sm.regrid_ease9km(like=smap) for d in (nldas, swi)))
model = cube.sm.fit(depth=25, scenario=1, model="ridge", predictors=["tb_h", "tb_v", "swi"], target="sm_noah_10_40")
sm25 = cube.sm.estimate(depth=25, scenario=1, model=model)
print(model.card["inputs"], model.card["units"]["swi"])
print(int(sm25["sm_25cm"].notnull().sum()), "values of", sm25["sm_25cm"].attrs["units"])
