# docker build -t xsm . && docker run --rm -v "$PWD:/data" xsm demo --quick
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir hatchling \
 && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . ./plugins/xsm-*/

FROM python:3.12-slim
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN pip install --no-cache-dir --find-links /wheels --constraint /wheels/constraints.txt "xsm[all,distributed]" \
 && rm -r /wheels \
 && useradd --create-home xsm
USER xsm
WORKDIR /data
ENTRYPOINT ["xsm"]
CMD ["--help"]
