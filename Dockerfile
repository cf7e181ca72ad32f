# An image with bertkit and the prepared repository of one release.
#
#   docker build -t REGISTRY/bertkit:1.13.0 .
#
# takes Habana's image of release 1.13.0; for another release name both BASE and SYNAPSE_VERSION.
# Any Debian or Ubuntu with Python 3.8 to 3.11 makes an image for the CPU, which runs the demo:
#
#   docker build -t bertkit-cpu --build-arg DEVICE=cpu --build-arg BASE=debian:bookworm .
#
# Where packages or upstream come from is the machine's configuration, and stands nowhere here.
ARG BASE=vault.habana.ai/gaudi-docker/1.13.0/ubuntu22.04/habanalabs/tensorflow-installer-tf-cpu-2.13.1:latest
FROM ${BASE}

# hpu: the base brings TensorFlow, Horovod and Habana's libraries; cpu: they are installed.
ARG DEVICE=hpu
ARG SYNAPSE_VERSION=1.13.0
# A mirror of Model-References, if not GitHub: an https:// URL, or a path mounted into the build.
ARG BERTKIT_UPSTREAM=
# Workers of an MPIJob run sshd on port 22, which takes root, as in Habana's image. An image for
# single pods only can do without: RUN_AS=bertkit.
ARG RUN_AS=root

# Only what the base lacks is installed: nothing that it brings changes its version.
# hadolint ignore=DL3008,SC2086
RUN wanted="ca-certificates git openssh-client openssh-server python3 python3-venv"; \
    if [ "${DEVICE}" = cpu ]; then \
      wanted="${wanted} bzip2 g++ libopenmpi-dev make openmpi-bin python3-dev"; \
    fi; \
    missing=""; \
    for package in ${wanted}; do \
      case "$(dpkg-query -W -f '${Status}' "${package}" 2>/dev/null)" in \
        *"ok installed") ;; \
        *) missing="${missing} ${package}" ;; \
      esac; \
    done; \
    if [ -n "${missing}" ]; then \
      apt-get update \
      && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${missing} \
      && rm -rf /var/lib/apt/lists/*; \
    fi

# ssh as the MPI operator needs it: its keys are mounted from a secret, and hosts come and go.
RUN mkdir -p /run/sshd /etc/ssh/sshd_config.d /etc/ssh/ssh_config.d \
    && printf 'StrictModes no\nPasswordAuthentication no\n' >/etc/ssh/sshd_config.d/bertkit.conf \
    && printf 'Host *\n    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n' \
      >/etc/ssh/ssh_config.d/bertkit.conf \
    && ssh-keygen -A \
    && useradd --create-home --shell /bin/bash bertkit

COPY . /opt/bertkit
WORKDIR /opt/bertkit

# An environment of bertkit's own, in front of the base's packages: none of them is replaced.
# hadolint ignore=DL3013
RUN if [ "${DEVICE}" = cpu ]; then \
      XDG_CACHE_HOME=/tmp/cache python3 tools/setup_env.py cpu; \
    else \
      python3 -m venv --system-site-packages .venv \
      && .venv/bin/pip install --no-cache-dir '.[data,upstream]'; \
    fi \
    && rm -rf /tmp/cache /root/.cache
ENV PATH=/opt/bertkit/.venv/bin:${PATH} \
    BERTKIT_REPO=/opt/Model-References

# The patches are applied now, once: every pod finds the same tree.
RUN bertkit prepare-repo --synapse-version "${SYNAPSE_VERSION}" --dest /opt/Model-References \
    && bertkit --version

LABEL org.opencontainers.image.title="bertkit" \
      org.opencontainers.image.description="BERT with TensorFlow on Habana Gaudi" \
      org.opencontainers.image.licenses="Apache-2.0" \
      bertkit.release="${SYNAPSE_VERSION}" \
      bertkit.device="${DEVICE}"

USER ${RUN_AS}
WORKDIR /
CMD ["bertkit", "--help"]
