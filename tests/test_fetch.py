"""What each source lists and fetches: local copies of the catalogue, the listings and the services."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from time import sleep
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

import xsm
from tests.web_server import reply, status
from xsm.contracts.registry import get_source
from xsm.contracts.source import Fetcher
from xsm.errors import FetchError, MissingPlugin, UsageError
from xsm.faces.cli import main
from xsm.twin import make_world
from xsm.web.login import Login

REGION = (-97.3, 35.9, -97.0, 36.2)
TIME = "2021-06-01/2021-06-03"
TOKEN = "t0ken"
FETCHERS = ("smap", "nldas", "solus100", "uscrn", "scan", "modis_landcover")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Synthetic files of the true formats, by source."""
    days = np.arange("2021-06-01", "2021-06-04", dtype="M8[D]")
    world = make_world(REGION, days, seed=2)
    folder = tmp_path_factory.mktemp("files")
    return {
        name: get_source(name).write(world, folder / name) for name in ("smap", "nldas", "solus100", "uscrn")
    }  # fmt: skip


class Catalogue:
    """A server that searches as NASA's catalogue does, and one that hands out files to those who have the token."""

    def __init__(self, serve):
        self.search, self.data = serve(), serve()
        self.search.routes["/search/granules.umm_json"] = self.find
        self.granules = []

    def add(self, name, body, *, product, version, day, exact=True, url=None, extra=()):
        """Publish a file."""
        info = {"Name": name, "Size": len(body) / 1e6, "SizeUnit": "MB"}
        if exact:
            checksum = {"Value": hashlib.md5(body).hexdigest(), "Algorithm": "MD5"}
            info |= {"SizeInBytes": len(body), "Checksum": checksum}
        links = [{"URL": url or f"{self.data.url}/protected/{name}", "Type": "GET DATA"}, *extra]
        links.append({"URL": f"s3://bucket/{name}", "Type": "GET DATA VIA DIRECT ACCESS"})
        umm = {"RelatedUrls": links, "DataGranule": {"ArchiveAndDistributionInformation": [info]}}
        self.granules.append((product, version, str(day), {"meta": {"concept-id": name}, "umm": umm}))

        def answer(request):
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return reply(request, b"", 401)
            return reply(request, body)

        self.data.routes[f"/protected/{name}"] = answer

    def find(self, request):
        query = {k: v[0] for k, v in parse_qs(urlsplit(request.path).query).items()}
        first, last = (text[:10] for text in query["temporal[]"].split(","))
        entries = [
            g for product, version, day, g in self.granules
            if product == query["short_name"] and version == query["version"] and first <= day <= last
        ]  # fmt: skip
        after = int(request.headers.get("cmr-search-after") or 0)
        page = entries[after : after + int(query["page_size"])]
        more = {"cmr_search_after": after + len(page)} if page else {}
        reply(request, json.dumps({"items": page}).encode(), CMR_Hits=len(entries), **more)

    def last_query(self):
        """The parameters of the last search."""
        return {k: v[0] for k, v in parse_qs(urlsplit(self.search.requests[-1][0]).query).items()}


@pytest.fixture
def catalogue(serve, monkeypatch):
    catalogue = Catalogue(serve)
    monkeypatch.setattr("xsm.web.catalogue.CMR", f"{catalogue.search.url}/search/")
    domains = (catalogue.data.url.removeprefix("http://"),)
    monkeypatch.setattr("xsm.web.login.EARTHDATA", Login("Earthdata", "http://localhost:9", domains, "EARTHDATA"))
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    return catalogue


def cli(*args):
    """Exit code of ``xsm fetch``."""
    with pytest.raises(SystemExit) as stop:
        main(["fetch", *map(str, args)])
    return stop.value.code


def test_smap_takes_one_granule_a_day_and_opens_it(catalogue, files, tmp_path):
    for path in files["smap"]:
        text = path.name[15:23]
        day = np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}")
        for old in (path.name.replace("R19240_001", "R18290_002"), path.name.replace("R19240", "R19239")):
            catalogue.add(old, b"old", product="SPL3SMP_E", version="006", day=day)
        side = {"URL": f"{catalogue.data.url}/x.h5.iso.xml", "Type": "EXTENDED METADATA"}
        catalogue.add(path.name, path.read_bytes(), product="SPL3SMP_E", version="006", day=day, extra=[side])
    manifest = xsm.fetch("smap", tmp_path, time=TIME, region=REGION)
    assert [p.name for p in manifest.paths] == [p.name for p in files["smap"]]
    assert catalogue.last_query()["temporal[]"] == "2021-06-01T00:00:00Z,2021-06-03T23:59:59Z"
    ds = xsm.open("smap", tmp_path, region=REGION, time=TIME)
    assert ds.sizes["time"] == 3 and float(ds["tb_h"].count()) > 0
    assert len(xsm.fetch("smap", tmp_path, time="2021-06-03", dry_run=True)) == 1


def test_smap_versions_are_those_of_the_product(catalogue, tmp_path):
    catalogue.add("SMAP_L3_SM_P_20210601_R19240_001.h5", b"", product="SPL3SMP", version="009", day="2021-06-01")
    assert len(xsm.fetch("smap", tmp_path, time=TIME, dry_run=True, product="SPL3SMP")) == 1
    with pytest.raises(FetchError, match=r"SPL3SMP version '9'.*character by character"):
        xsm.fetch("smap", tmp_path, time=TIME, dry_run=True, product="SPL3SMP", version="9")
    with pytest.raises(UsageError, match="Did you mean 'SPL3SMP_E'"):
        xsm.fetch("smap", tmp_path, time=TIME, product="SPL3SMPE")
    with pytest.raises(UsageError, match="period with both ends"):
        xsm.fetch("smap", tmp_path, time=slice("2021-06-01", None))
    with pytest.raises(UsageError, match="fetch option of source 'smap'"):
        xsm.fetch("smap", tmp_path, time=TIME, overpass="AM")


def test_nldas_takes_the_hours_of_the_days_and_opens_them(catalogue, files, tmp_path):
    """A search by time may give the first hour of the next day too."""
    next_hour = "NLDAS_NOAH0125_H.A20210603.0000.020.nc"
    assert next_hour in [p.name for p in files["nldas"]]
    for path in files["nldas"]:
        text = path.name.split(".A")[1]
        day = "2021-06-02" if path.name == next_hour else f"{text[:4]}-{text[4:6]}-{text[6:8]}"
        kw = {"product": "NLDAS_NOAH0125_H", "version": "2.0", "day": day}
        catalogue.add(path.name, path.read_bytes(), exact=False, **kw)
    plan = xsm.fetch("nldas", tmp_path, time="2021-06-01/2021-06-02", dry_run=True)
    assert len(plan) == 48 and "48 files, about" in str(plan)
    manifest = xsm.fetch("nldas", tmp_path, time="2021-06-01/2021-06-02", workers=8)
    ds = xsm.open("nldas", manifest.paths, region=REGION)
    assert ds.sizes["time"] == 2 and "incomplete_days" not in ds.attrs


def test_modis_takes_the_tiles_of_a_region_and_every_year(catalogue, tmp_path):
    tile = b"\x0e\x03\x13\x01" + bytes(5000)
    for year in (2020, 2021, 2022):
        name = f"MCD12Q1.A{year}001.h10v05.061.{year + 1}171160153.hdf"
        catalogue.add(name, tile, product="MCD12Q1", version="061", day=f"{year}-01-01")
    manifest = xsm.fetch("modis_landcover", tmp_path, time="2021-05-01/2022-02-01", region=REGION)
    assert [p.name[9:13] for p in manifest.paths] == ["2021", "2022"]
    west, south, east, north = map(float, catalogue.last_query()["bounding_box"].split(","))
    assert west < REGION[0] and south < REGION[1] and east > REGION[2] and north > REGION[3]
    catalogue.add("MCD12Q1.A2019001.h10v05.061.2020171160153.hdf", b"<html>", product="MCD12Q1", version="061",
                  day="2019-01-01")  # fmt: skip
    with pytest.raises(FetchError, match="web page"):
        xsm.fetch("modis_landcover", tmp_path, time="2019")


def test_search_survives_and_explains(catalogue, tmp_path):
    catalogue.add("SMAP_L3_SM_P_E_20210601_R19240_001.h5", b"", product="SPL3SMP_E", version="006", day="2021-06-01")
    busy = [status(503)]

    def search(request):
        return busy.pop()(request) if busy else catalogue.find(request)

    catalogue.search.routes["/search/granules.umm_json"] = search
    assert len(xsm.fetch("smap", tmp_path, time=TIME, dry_run=True)) == 1
    catalogue.search.routes["/search/granules.umm_json"] = status(400, b'{"errors":["bad temporal"]}')
    with pytest.raises(FetchError, match=r"refuses the search .*bad temporal"):
        xsm.fetch("smap", tmp_path, time=TIME, dry_run=True)
    catalogue.search.routes["/search/granules.umm_json"] = lambda request: sleep(0.5)
    with xsm.set_options(timeout=0.2, retries=0), pytest.raises(FetchError, match="nothing came"):
        xsm.fetch("smap", tmp_path, time=TIME, dry_run=True)
    assert catalogue.search.headers("Authorization") == [None] * len(catalogue.search.requests)


def test_search_reads_all_pages(catalogue, tmp_path):
    first = np.datetime64("2014-01-01")
    for i in range(2500):
        text = str(first + i).replace("-", "")
        name = f"SMAP_L3_SM_P_E_{text}_R19240_001.h5"
        catalogue.add(name, b"x" * 1000, product="SPL3SMP_E", version="006", day=first + i)
    plan = xsm.fetch("smap", tmp_path, time="2014-01-01/2022-12-31", dry_run=True)
    assert len(plan) == 2500
    assert "2500 files, 2.5 MB" in str(plan) and "and 2495 more" in str(plan)


def test_links_that_lead_nowhere_are_not_followed(catalogue, tmp_path):
    kw = {"product": "SPL3SMP_E", "version": "006", "day": "2021-06-01"}
    catalogue.add("SMAP_L3_SM_P_E_20210601_R19240_001.h5", b"", url="https://x/SMAP.qa", **kw)
    with pytest.raises(FetchError, match=r"no \.h5 file of SPL3SMP_E"):
        xsm.fetch("smap", tmp_path, time=TIME)


def test_codes_of_the_command_line(catalogue, tmp_path, capsys, monkeypatch):
    name = "SMAP_L3_SM_P_E_20210601_R19240_001.h5"
    catalogue.add(name, b"\x89HDF\r\n\x1a\n" + bytes(600), product="SPL3SMP_E", version="006", day="2021-06-01")
    dest = tmp_path / "d"
    assert cli("smap", dest) == 2
    assert "both ends" in capsys.readouterr().err
    monkeypatch.delenv("EARTHDATA_TOKEN")
    assert cli("smap", dest, "--time", TIME) == 1
    assert "no credentials were found" in capsys.readouterr().err
    assert cli("smap", dest, "--time", TIME, "--dry-run") == 0
    assert name in capsys.readouterr().out and not dest.exists()
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    assert cli("smap", dest, "--time", TIME, "--progress", "json") == 0
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["text"].startswith("1 of 1 files")
    assert (dest / name).exists()
    monkeypatch.setitem(sys.modules, "earthaccess", None)
    assert cli("smap", dest, "--time", TIME) == 3
    assert "pip install earthaccess" in capsys.readouterr().err


def test_solus100_lists_layers_and_opens_them(serve, files, tmp_path, monkeypatch):
    server = serve()
    monkeypatch.setattr("xsm_solus100.fetch.BUCKET", server.url)
    for path in files["solus100"]:
        server.routes[f"/{path.name}"] = lambda r, path=path: reply(r, path.read_bytes())
    manifest = xsm.fetch("solus100", tmp_path)
    assert sorted(p.name for p in manifest.paths) == sorted(p.name for p in files["solus100"])
    assert xsm.open("solus100", tmp_path, region=REGION).sizes["soil_depth"] == 2
    plan = xsm.fetch("solus100", tmp_path / "d", variables=["bulk_density"], soil_depth=[0, 150], dry_run=True)
    assert [r.name for r in plan.remotes] == ["dbovendry_0_cm_p.tif", "dbovendry_150_cm_p.tif"]
    with pytest.raises(UsageError, match="no depth 7"):
        xsm.fetch("solus100", tmp_path, soil_depth=7)
    with pytest.raises(UsageError, match="no variable 'soc'"):
        xsm.fetch("solus100", tmp_path, variables="soc")


RANGES = """
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        if asked is None or not self.path.endswith(".tif"):
            return self.send_error(404)
        body = open(self.translate_path(self.path), "rb").read()
        first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
        part = body[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_solus100_opens_a_region_from_its_address(files):
    """Instead of fetching whole files: range requests against a server in its own process, as GDAL keeps the GIL."""
    folder = files["solus100"][0].parent
    with subprocess.Popen([sys.executable, "-c", RANGES], cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline())
            urls = [f"http://127.0.0.1:{port}/{path.name}" for path in files["solus100"]]
            remote = xsm.open("solus100", urls, region=REGION).load()
        finally:
            server.kill()
    local = xsm.open("solus100", files["solus100"], region=REGION).load()
    np.testing.assert_array_equal(remote["sand"], local["sand"])


@pytest.fixture
def ncei(serve, files, monkeypatch):
    """USCRN's listings: the twin's stations, one that is far away, and one that the table lacks."""
    server = serve()
    monkeypatch.setattr("xsm_insitu.fetch.PRODUCTS", server.url)
    names = {p.name: p.read_bytes() for p in files["uscrn"]}
    first = next(iter(names.values()))
    names["CRNH0203-2021-AK_St._Paul_4_NE.txt"] = first
    names["CRNH0203-2021-XX_New_1_N.txt"] = first
    rows = ["WBAN\tCOUNTRY\tSTATE\tLOCATION\tVECTOR\tLATITUDE\tLONGITUDE\tSTATUS"]
    for path in files["uscrn"]:
        place = path.name.removesuffix(".txt").split("-", 2)[2]
        lon, lat = path.read_text().split()[6:8]
        rows.append("\t".join(["00001", "US", place[:2], place[3:].replace("_", " "), "", lat, lon, "x"]))
    rows.append("25711\tUS\tAK\tSt. Paul\t4 NE\t57.16\t-170.21\tCommissioned")
    table = "\n".join(row.replace("\t\t", "\t1 N\t") for row in rows)
    renamed = {n.replace(".txt", "_1_N.txt") if n.startswith("CRNH0203-2021-ZZ") else n: b for n, b in names.items()}
    page = "<html><title>Index of /hourly02/2021</title>" + "".join(f'<a href="{n}">{n}</a>' for n in renamed)
    server.routes["/hourly02/2021/"] = lambda r: reply(r, page.encode())
    server.routes["/stations.tsv"] = lambda r: reply(r, table.encode())
    for name, body in renamed.items():
        server.routes[f"/hourly02/2021/{name}"] = lambda r, body=body: reply(r, body)
    server.renamed = renamed
    return server


def test_uscrn_takes_the_stations_of_a_region(ncei, files, tmp_path):
    with pytest.warns(UserWarning, match="lacks XX_New_1_N"):
        manifest = xsm.fetch("uscrn", tmp_path, time=TIME, region=REGION)
    got = [p.name for p in manifest.paths]
    assert "CRNH0203-2021-XX_New_1_N.txt" in got and not any("Paul" in name for name in got)
    assert len(got) == len(files["uscrn"]) + 1
    (tmp_path / "CRNH0203-2021-XX_New_1_N.txt").unlink()
    ds = xsm.open("uscrn", tmp_path, time=TIME)
    assert ds.sizes["sensor"] > 0 and float(ds["soil_moisture"].count()) > 0
    everywhere = xsm.fetch("uscrn", tmp_path, time=TIME, dry_run=True)
    assert len(everywhere) == len(ncei.renamed)
    with pytest.raises(FetchError, match="404"):
        xsm.fetch("uscrn", tmp_path, time="2020-12-31/2021-01-01")
    ncei.routes["/daily01/2021/"] = lambda r: reply(r, b"<html>down for maintenance</html>")
    with pytest.raises(FetchError, match="lists no station file"):
        xsm.fetch("uscrn", tmp_path, time=TIME, product="daily01")


def test_a_list_that_cannot_be_had_tells_nothing_of_files(ncei, tmp_path):
    """A dry run without a connection said that what is complete stays."""
    ncei.routes["/stations.tsv"] = lambda r: reply(r, b"", 503)
    with xsm.set_options(retries=0), pytest.raises(FetchError, match="Check the connection; no file was requested yet"):
        xsm.fetch("uscrn", tmp_path, time=TIME, region=REGION, dry_run=True)


def test_files_that_still_grow_are_fetched_again(ncei, tmp_path, monkeypatch):
    assert not any(r.changes for r in xsm.fetch("uscrn", tmp_path, time=TIME, dry_run=True).remotes)
    monkeypatch.setattr("xsm_insitu.fetch.SETTLED", np.datetime64("now", "D") - np.datetime64("2021-12-30"))
    assert all(r.changes for r in xsm.fetch("uscrn", tmp_path, time=TIME, dry_run=True).remotes)


STATIONS = [
    {"stationTriplet": "2092:KS:SCAN", "latitude": 37.1313, "longitude": -97.0859, "dataTimeZone": -6.0,
     "beginDate": "2004-01-01 00:00", "endDate": "2100-01-01 00:00"},
    {"stationTriplet": "2057:AL:SCAN", "latitude": 34.78534, "longitude": -86.55906, "dataTimeZone": -6.0,
     "beginDate": "2002-02-23 00:00", "endDate": "2020-06-30 00:00"},
    {"stationTriplet": "2100:TX:SCAN", "latitude": 33.55, "longitude": -102.37, "dataTimeZone": -6.0,
     "beginDate": "2021-03-01 00:00", "endDate": "2100-01-01 00:00"},
]  # fmt: skip


def test_scan_asks_for_each_station_and_year_and_keeps_the_answers(serve, tmp_path, monkeypatch):
    from xsm_insitu.fetch import fetch_scan, scan_files

    server = serve()
    monkeypatch.setattr("xsm_insitu.fetch.AWDB", server.url)
    table = json.dumps(STATIONS).encode()
    server.routes["/stations"] = lambda r: reply(r, table)
    server.routes["/data"] = lambda r: reply(r, json.dumps([{"asked": r.path}]).encode())
    time = slice(np.datetime64("2020-02-01"), np.datetime64("2021-01-31"))
    manifest = fetch_scan(tmp_path, region=None, time=time, dry_run=False)
    assert sorted(p.name for p in manifest.paths) == [
        "SCAN_2057_AL_2020-01-31_2021-01-01.json",
        "SCAN_2092_KS_2020-01-31_2021-01-01.json",
        "SCAN_2092_KS_2021-01-01_2021-02-01.json",
        "stations.json",
    ]
    assert (tmp_path / "stations.json").read_bytes() == table
    path = json.loads((tmp_path / "SCAN_2092_KS_2020-01-31_2021-01-01.json").read_text())[0]["asked"]
    assert {k: v[0] for k, v in parse_qs(urlsplit(path).query).items()} == {
        "stationTriplets": "2092:KS:SCAN", "elements": "SMS:*,STO:*", "duration": "HOURLY",
        "beginDate": "2020-01-31", "endDate": "2021-01-01", "returnFlags": "true",
    }  # fmt: skip
    assert server.requests[0][0] == "/stations?stationTriplets=*:*:SCAN&activeOnly=false"
    before = len(server.requests)
    again = fetch_scan(tmp_path, region=None, time=time, dry_run=False)
    assert len(server.requests) == before + 2 and again.paths == manifest.paths
    kansas = xsm.plugin_api.Area((-98, 36, -96, 38), xsm.EASE2_M09.region((-98, 36, -96, 38)))
    assert {r.name[:9] for r in scan_files(time, kansas)} == {"SCAN_2092", "stations."}
    server.routes["/stations"] = lambda r: reply(r, b'[{"id": 1}]')
    with pytest.raises(FetchError, match="cannot be read"):
        scan_files(time, None)


@pytest.mark.parametrize("name", FETCHERS)
def test_fetch_keeps_the_contract(name):
    source = get_source(name)
    assert isinstance(source, Fetcher)
    assert all(p.name and p.kind and p.help for p in source.info.fetch_options)


def test_source_that_cannot_download_says_where_to_get_files(tmp_path):
    with pytest.raises(MissingPlugin, match=r"ismn\.earth"):
        xsm.fetch("ismn", tmp_path)
