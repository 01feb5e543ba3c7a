"""The peers, each with a configuration of its own on a loopback port: cgit and `git http-backend` behind nginx and
fcgiwrap, `git daemon`, OpenSSH with git-shell. They read the very repositories that our site serves."""

import os
import pathlib
import shutil
import signal
import subprocess

import tools

CGIT = "/usr/lib/cgit/cgit.cgi"


class Peers:
    def __init__(self, work, repositories, key):
        self.work = pathlib.Path(work) / "peers"
        self.work.mkdir()
        self.web, self.daemon, self.ssh = tools.free_port(), tools.free_port(), tools.free_port()
        self.processes = {}
        self.roots = self.work / "repositories"
        self.roots.mkdir()
        for name, path in repositories.items():
            (self.roots / f"{name}.git").symlink_to(path)
        (self.work / "gitconfig").write_text("[safe]\n\tdirectory = *\n[http]\n\treceivepack = true\n")
        self.start_web()
        self.start_daemon()
        self.start_ssh(key)

    def spawn(self, name, arguments, **environment):
        log = open(self.work / f"{name}.log", "wb")
        env = {**tools.CLEAN, "GIT_CONFIG_GLOBAL": str(self.work / "gitconfig"), **environment}
        self.processes[name] = subprocess.Popen(arguments, stdout=log, stderr=log, env=env, start_new_session=True)

    def start_web(self):
        socket = self.work / "fcgi.sock"
        self.spawn("fcgiwrap", [shutil.which("fcgiwrap") or "/usr/sbin/fcgiwrap", "-c", "8", "-s", f"unix:{socket}"])
        repositories = "\n".join(f"repo.url={path.stem}\nrepo.path={path}\n" for path in sorted(self.roots.iterdir()))
        (self.work / "cgitrc").write_text(f"cache-size=0\nvirtual-root=/cgit\nenable-index-owner=0\n{repositories}")
        backend = pathlib.Path(subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip())
        user = "user root;" if os.getuid() == 0 else ""
        parameters = f"""
            fastcgi_pass unix:{socket};
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
            fastcgi_param REMOTE_ADDR $remote_addr;
            fastcgi_param REMOTE_USER bench;
            fastcgi_param GIT_CONFIG_GLOBAL {self.work}/gitconfig;"""
        (self.work / "nginx.conf").write_text(f"""
            {user} daemon off; worker_processes 2; pid {self.work}/nginx.pid; error_log {self.work}/nginx-error.log;
            events {{ worker_connections 512; }}
            http {{
              access_log off; client_body_temp_path {self.work}/body; fastcgi_temp_path {self.work}/fcgi;
              proxy_temp_path {self.work}/proxy; uwsgi_temp_path {self.work}/uwsgi; scgi_temp_path {self.work}/scgi;
              client_max_body_size 0; keepalive_requests 10000000; fastcgi_buffering off; tcp_nodelay on;
              server {{
                listen 127.0.0.1:{self.web};
                location ~ ^/cgit(/.*)?$ {{
                  {parameters}
                  fastcgi_param SCRIPT_FILENAME {CGIT};
                  fastcgi_param PATH_INFO $1;
                  fastcgi_param CGIT_CONFIG {self.work}/cgitrc;
                }}
                location ~ ^/git(/.*)$ {{
                  {parameters}
                  fastcgi_param SCRIPT_FILENAME {backend}/git-http-backend;
                  fastcgi_param GIT_PROJECT_ROOT {self.roots};
                  fastcgi_param GIT_HTTP_EXPORT_ALL 1;
                  fastcgi_param PATH_INFO $1;
                  fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol;
                  fastcgi_param GIT_PROTOCOL $http_git_protocol;
                  fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
                }}
              }}
            }}""")
        self.spawn("nginx", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(self.work / "nginx.conf"), "-p", str(self.work)])
        tools.wait_for(lambda: tools.listens(self.web), 10)

    def start_daemon(self):
        self.spawn("daemon", ["git", "daemon", "--reuseaddr", "--export-all", f"--base-path={self.roots}",
                              "--listen=127.0.0.1", f"--port={self.daemon}", str(self.roots)])
        tools.wait_for(lambda: tools.listens(self.daemon), 10)

    def start_ssh(self, key):
        place = self.work / "sshd"
        place.mkdir()
        if os.getuid() == 0:
            pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / "host"], check=True)
        (place / "config").write_text(f"""ListenAddress 127.0.0.1:{self.ssh}
HostKey {place}/host
AuthorizedKeysFile {key}.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
SetEnv GIT_CONFIG_GLOBAL={self.work}/gitconfig
ForceCommand git-shell -c "$SSH_ORIGINAL_COMMAND"
""")
        self.spawn("sshd", [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-f", str(place / "config")])
        tools.wait_for(lambda: tools.listens(self.ssh), 10)

    def cpu(self, name):
        """Processor time of a peer. fcgiwrap's workers are forked: they count with their children."""
        pids = [self.processes[name].pid]
        for pid in list(pids):
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
            pids += [int(child) for child in children.read_text().split()] if children.exists() else []
        return tools.cpu(*pids)

    def stop(self):
        """Each peer leads a group of its own: fcgiwrap does not end its workers."""
        for process in self.processes.values():
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
