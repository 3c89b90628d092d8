# docker build -t xsm . ; docker run --rm -v "$PWD:/data" xsm doctor
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg fonts-liberation libexpat1 \
    && rm -rf /var/lib/apt/lists/*

COPY . /opt/xsm
RUN python -m pip install --no-cache-dir --constraint /opt/xsm/constraints.txt /opt/xsm /opt/xsm/plugins/*

RUN useradd --create-home xsm
USER xsm
WORKDIR /data
ENTRYPOINT ["xsm"]
CMD ["doctor"]
