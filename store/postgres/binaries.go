package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// BinVariable is the environment variable that names the folder of initdb and postgres.
const BinVariable = "RINGMASTER_POSTGRES_BIN"

// debianBins is where Debian and Ubuntu put the binaries of each major version.
const debianBins = "/usr/lib/postgresql/*/bin"

// createClusterConf tells Debian's packages whether to make a cluster on port 5432 when they are installed.
const createClusterConf = "/etc/postgresql-common/createcluster.conf"

// ErrNoBinaries is in the error of FindBinaries when PostgreSQL isn't installed.
var ErrNoBinaries = errors.New("PostgreSQL's initdb and postgres weren't found")

// FindBinaries returns the folder that has both initdb and postgres: the one that
// RINGMASTER_POSTGRES_BIN names, the first one on PATH, or the highest version in
// /usr/lib/postgresql.
func FindBinaries() (string, error) {
	if dir := os.Getenv(BinVariable); dir != "" {
		if !hasBinaries(dir) {
			return "", fmt.Errorf("%w in %s, which %s names", ErrNoBinaries, dir, BinVariable)
		}
		return dir, nil
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if dir != "" && hasBinaries(dir) {
			return dir, nil
		}
	}
	dirs, _ := filepath.Glob(debianBins)
	sort.Slice(dirs, func(i, j int) bool { return debianVersion(dirs[i]) > debianVersion(dirs[j]) })
	for _, dir := range dirs {
		if hasBinaries(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%w: on Debian or Ubuntu install the package postgresql (15 or later); elsewhere set %s to the folder that holds them", ErrNoBinaries, BinVariable)
}

func debianVersion(bin string) float64 {
	v, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(bin)), 64)
	return v
}

func hasBinaries(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// binariesFor picks the binaries for a folder: a cluster can only be run by the major version that made it.
func binariesFor(ctx context.Context, o Options, dir string) (string, error) {
	bin, err := o.BinDir, error(nil)
	if bin == "" {
		bin, err = FindBinaries()
		if errors.Is(err, ErrNoBinaries) && o.Install && os.Getenv(BinVariable) == "" {
			if err = install(ctx, o.Progress); err == nil {
				bin, err = FindBinaries()
			}
		}
	} else if !hasBinaries(bin) {
		err = fmt.Errorf("%w in %s", ErrNoBinaries, bin)
	}
	if err != nil {
		return "", fmt.Errorf("couldn't start Postgres: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "data", "PG_VERSION"))
	if err != nil {
		return bin, nil // no cluster yet, or one that openCluster will complain of
	}
	want := strings.TrimSpace(string(text))
	have, err := versionOf(ctx, bin)
	if err != nil {
		return "", fmt.Errorf("couldn't start Postgres: %w", err)
	}
	if major, _, _ := strings.Cut(have, "."); major == want {
		return bin, nil
	}
	if other := strings.Replace(debianBins, "*", want, 1); o.BinDir == "" && hasBinaries(other) {
		return other, nil
	}
	return "", fmt.Errorf("couldn't start Postgres: the cluster in %s was made by PostgreSQL %s, and %s is %s: install %s, or name another folder", dir, want, bin, have, want)
}

// versionOf asks the binaries for their version, such as "15.18".
func versionOf(ctx context.Context, bin string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("couldn't ask %s for its version: %w", filepath.Join(bin, "postgres"), err)
	}
	f := strings.Fields(string(out)) // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
	if len(f) < 3 {
		return "", fmt.Errorf("couldn't read the version in %q", strings.TrimSpace(string(out)))
	}
	return f[2], nil
}

// install gets PostgreSQL from the Debian archive, without letting the package make and start a cluster of its own on
// port 5432.
func install(ctx context.Context, progress func(string)) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("%w: run `sudo apt-get install postgresql`, or set %s", ErrNoBinaries, BinVariable)
	}
	if !isDebian("/etc/os-release") {
		return fmt.Errorf("%w, and this isn't a Debian: install PostgreSQL 15 or later with this system's package manager, or set %s", ErrNoBinaries, BinVariable)
	}
	if err := forbidMainCluster(createClusterConf); err != nil {
		return err
	}
	for _, args := range [][]string{{"update"}, {"install", "--yes", "--no-install-recommends", "postgresql"}} {
		if progress != nil {
			progress("apt-get " + strings.Join(args, " "))
		}
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			text := strings.TrimSpace(string(out))
			if len(text) > 1000 {
				text = text[len(text)-1000:]
			}
			return fmt.Errorf("couldn't install PostgreSQL: apt-get %s: %w\n%s", args[0], err, text)
		}
	}
	return nil
}

func isDebian(osRelease string) bool {
	text, err := os.ReadFile(osRelease)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		if (key == "ID" || key == "ID_LIKE") && strings.Contains(" "+value+" ", " debian ") {
			return true
		}
	}
	return false
}

// forbidMainCluster sees to it that installing the package makes no cluster on port 5432. A
// file that is there is the administrator's: it is read and never changed.
func forbidMainCluster(conf string) error {
	f, err := os.Open(conf)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
			return fmt.Errorf("couldn't install PostgreSQL: %w", err)
		}
		if err := os.WriteFile(conf, []byte("create_main_cluster = false\n"), 0o644); err != nil {
			return fmt.Errorf("couldn't install PostgreSQL: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("couldn't install PostgreSQL: %w", err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line, _, _ := strings.Cut(sc.Text(), "#")
		key, value, _ := strings.Cut(line, "=")
		if strings.TrimSpace(key) == "create_main_cluster" && strings.Trim(strings.TrimSpace(value), `'"`) == "false" {
			return nil
		}
	}
	return fmt.Errorf("%w, and %s lets the package make a cluster on port 5432, which is yours to decide: install it yourself with `apt-get install postgresql`, or put `create_main_cluster = false` there first", ErrNoBinaries, conf)
}
