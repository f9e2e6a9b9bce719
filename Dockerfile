# The dashboard in a container. README.md, section "Docker", says how to build and start it.

# --- the page -----------------------------------------------------------------
FROM node:22-slim AS page
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

# --- the environment ----------------------------------------------------------
FROM python:3.11-slim AS environment
# "cpu", or "default": the index's default build of torch, on x86-64 with CUDA.
ARG TORCH_BUILD=cpu
# The index that has torch's CPU builds: PyTorch's 'Get Started' page shows it.
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /src
COPY constraints.txt ./
# As run.py does: the exact version that is tested, as a CPU build where there is one.
RUN torch="$(grep '^torch==' constraints.txt)" \
    && if [ "$TORCH_BUILD" = cpu ] && /opt/venv/bin/pip install -c constraints.txt "$torch+cpu"; then \
           echo "torch: CPU build"; \
       else \
           echo "torch: the index's default build" && /opt/venv/bin/pip install -c constraints.txt "$torch"; \
       fi
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY loader_core/ loader_core/
COPY app/ app/
COPY --from=page /src/frontend/dist frontend/dist
RUN /opt/venv/bin/pip install -c constraints.txt .

# --- what runs ----------------------------------------------------------------
FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --home-dir /runs loaderscope
COPY --from=environment /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    LOADERSCOPE_HOST=0.0.0.0 \
    LOADERSCOPE_PORT=8000 \
    LOADERSCOPE_HOME=/runs \
    XDG_CACHE_HOME=/runs/cache
USER 10001:10001
WORKDIR /runs
VOLUME /runs
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/', timeout=4)"]
ENTRYPOINT ["loaderscope"]
CMD ["serve", "--no-browser"]
