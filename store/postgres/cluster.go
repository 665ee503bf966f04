package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cluster is a folder with a Postgres cluster in it, and the user it belongs to.
type cluster struct {
	dir, data, run string
	uid, gid       int
	drop           bool // this process is root: the server runs as uid
}

// openCluster finds out whose the folder is, makes what is missing of it, and checks that the
// server will be able to reach it. It changes nothing in a folder that holds something else.
func openCluster(dir string) (*cluster, error) {
	c := &cluster{dir: dir, data: filepath.Join(dir, "data"), uid: os.Getuid(), gid: os.Getgid()}
	if err := c.chooseUser(); err != nil {
		return nil, err
	}
	if err := refuseForeign(dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return nil, err
		}
		if err := c.makeDir(dir); err != nil {
			return nil, err
		}
	}
	if err := c.checkReach(dir); err != nil {
		return nil, err
	}
	c.run = filepath.Join(dir, "run")
	if len(c.run)+len("/.s.PGSQL."+socketPort) > maxSocket {
		sum := sha256.Sum256([]byte(dir))
		c.run = filepath.Join("/tmp", fmt.Sprintf("ringmaster-pg-%d-%s", c.uid, hex.EncodeToString(sum[:6])))
	}
	return c, c.ownDir(c.run)
}

// chooseUser: PostgreSQL refuses to run as root. A root parent uses the owner of a cluster that is there, else postgres,
// else nobody.
func (c *cluster) chooseUser() error {
	var owner = -1
	if fi, err := os.Stat(c.data); err == nil {
		st := fi.Sys().(*syscall.Stat_t)
		owner = int(st.Uid)
		if c.uid != 0 && owner != c.uid {
			return fmt.Errorf("%s belongs to user %d, and this process runs as user %d: run it as that user, or name another folder", c.data, owner, c.uid)
		}
		if c.uid == 0 && owner != 0 {
			c.uid, c.gid, c.drop = owner, int(st.Gid), true
			return nil
		}
	}
	if c.uid != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		c.uid, _ = strconv.Atoi(u.Uid)
		c.gid, _ = strconv.Atoi(u.Gid)
		c.drop = true
		return nil
	}
	return errors.New("PostgreSQL doesn't run as root, and there is neither a user postgres nor nobody to run it as: make one, or run this as an ordinary user")
}

// refuseForeign refuses a folder that holds something but not a cluster of ours.
func refuseForeign(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.Name() {
		case "data", "run", "lock", "postgres.log":
		default:
			if strings.HasPrefix(e.Name(), "data.new-") {
				continue // an initdb that was cut off
			}
			return fmt.Errorf("the folder holds %q, which isn't ours: name an empty folder, or one that doesn't exist yet", e.Name())
		}
	}
	return nil
}

// makeDir makes one folder, mode 0700, owned by the server's user.
func (c *cluster) makeDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	if c.drop {
		return os.Chown(path, c.uid, c.gid)
	}
	return nil
}

// ownDir makes a folder of ours, or checks that the one that is there is: in /tmp, anybody may have been there first.
func (c *cluster) ownDir(path string) error {
	err := c.makeDir(path)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !fi.IsDir() || int(fi.Sys().(*syscall.Stat_t).Uid) != c.uid {
		return fmt.Errorf("%s isn't a folder of user %d: remove it", path, c.uid)
	}
	return os.Chmod(path, 0o700)
}

// checkReach checks that the server's user may pass each folder above.
func (c *cluster) checkReach(dir string) error {
	if !c.drop {
		return nil
	}
	for p := dir; ; p = filepath.Dir(p) {
		fi, err := os.Stat(p)
		if err != nil {
			return err
		}
		st, mode := fi.Sys().(*syscall.Stat_t), fi.Mode().Perm()
		ok := mode&0o001 != 0
		if int(st.Uid) == c.uid {
			ok = mode&0o100 != 0
		} else if int(st.Gid) == c.gid {
			ok = mode&0o010 != 0
		}
		if !ok {
			return fmt.Errorf("the server runs as user %d, who may not enter %s (mode %04o): name a folder elsewhere, such as /var/lib/ringmaster, or run this as an ordinary user", c.uid, p, mode)
		}
		if p == filepath.Dir(p) {
			return nil
		}
	}
}

// attributes are those of a child: its own process group, so that a Ctrl-C at the terminal reaches only the parent, who
// stops it in its own order; the signal it gets if the parent dies; the user.
func (c *cluster) attributes(onDeath syscall.Signal) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onDeath}
	if c.drop {
		a.Credential = &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.gid)}
	}
	return a
}

// takeLock takes the folder's lock. One held by a living process is refused at once; one held by the server of a
// process that is gone is waited for, because that server is on its way down.
func (c *cluster) takeLock(ctx context.Context) (*os.File, error) {
	path := filepath.Join(c.dir, "lock")
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	f, err := lockFile(ctx, path, func() error {
		text, _ := os.ReadFile(path)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || pid <= 0 || syscall.Kill(pid, 0) == syscall.ESRCH {
			return nil
		}
		return fmt.Errorf("process %d is using this folder: stop it, or name another folder", pid)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("a server of an earlier process still runs on this folder and doesn't end: see %s", filepath.Join(c.data, "postmaster.pid"))
	}
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lockFile waits for an exclusive flock(2), asking held after each refusal whether to go on.
func lockFile(ctx context.Context, path string, held func() error) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if err == unix.EWOULDBLOCK {
			err = held()
		}
		if err == nil {
			select {
			case <-ctx.Done():
				err = ctx.Err()
			case <-time.After(lockInterval):
				continue
			}
		}
		f.Close()
		return nil, err
	}
}

// initialise makes the cluster unless it is there. It is made beside its place and then renamed, so that a cut-off initdb
// leaves nothing half.
func (c *cluster) initialise(ctx context.Context, bin, template string) error {
	if _, err := os.Stat(filepath.Join(c.data, "PG_VERSION")); err == nil {
		return nil
	}
	old, _ := filepath.Glob(c.data + ".new-*")
	for _, p := range old {
		_ = os.RemoveAll(p)
	}
	fresh := c.data + ".new-" + strconv.Itoa(os.Getpid())
	if err := c.makeDir(fresh); err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if template != "" {
		version, err := versionOf(ctx, bin)
		if err != nil {
			return err
		}
		kept := filepath.Join(template, fmt.Sprintf("initdb-%s-%d", version, initdbOptions))
		if err := c.copyTree(kept, fresh); err == nil {
			return os.Rename(fresh, c.data)
		}
		if err := c.initdb(ctx, bin, fresh); err != nil {
			return err
		}
		// Keeping it is a help for the next one and nothing more.
		_ = c.keep(fresh, kept)
		return os.Rename(fresh, c.data)
	}
	if err := c.initdb(ctx, bin, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, c.data)
}

// initdbOptions counts the changes of initdb's options below, so that no cluster of older ones is copied.
const initdbOptions = 1

func (c *cluster) initdb(ctx context.Context, bin, dir string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", dir, "-U", Superuser, "--auth=trust",
		"--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions")
	cmd.Dir, cmd.Env = c.dir, environment()
	cmd.SysProcAttr = c.attributes(0)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

// keep copies a fresh cluster to where the next one looks, whole or not at all. Others may do the same at this moment.
func (c *cluster) keep(from, kept string) error {
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(kept), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := (&cluster{}).copyTree(from, filepath.Join(tmp, "data")); err != nil {
		return err
	}
	return os.Rename(filepath.Join(tmp, "data"), kept)
}

// copyTree copies folders and plain files, owned by the server's user.
func (c *cluster) copyTree(from, to string) error {
	fi, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("%s isn't a folder", from)
	}
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(p, from))
		if d.IsDir() {
			if err := os.Mkdir(target, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		} else if err := copyFile(p, target); err != nil {
			return err
		}
		if c.drop {
			return os.Lchown(target, c.uid, c.gid)
		}
		return nil
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// ready reads the state that the postmaster writes into line 8 of postmaster.pid (what pg_ctl waits for).
func (c *cluster) ready(pid int) bool {
	text, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) >= 8 && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}
