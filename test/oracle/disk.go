package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// mountDisk mounts a small separate file system, which requires root.
func mountDisk(dir string, run time.Duration) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	size := min(96+int(run.Seconds()), 512)
	if err := syscall.Mount("oracle", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size)); err != nil {
		return "", fmt.Errorf("mount a file system: %w", err)
	}
	return dir, nil
}

// CanMount states why no file system can be mounted here; "" if one can.
func CanMount(dir string) string {
	if _, err := mountDisk(dir, 0); err != nil {
		return err.Error()
	}
	if err := syscall.Unmount(dir, 0); err != nil {
		return err.Error()
	}
	return ""
}

// full fills the disk for some seconds.
func full(ctx context.Context, w *World, r *rand.Rand) error {
	filler := filepath.Join(w.disk, "filler")
	if err := fill(filler); err != nil {
		return err
	}
	pause(ctx, time.Duration(2000+r.IntN(8000))*time.Millisecond)
	if err := os.Remove(filler); err != nil {
		return err
	}
	return w.waitTaken(ctx, 45*time.Second)
}

func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	piece := make([]byte, 1<<16)
	for err == nil {
		_, err = f.Write(piece)
	}
	return f.Close()
}

// readOnly restarts a process on a read-only disk.
func readOnly(ctx context.Context, w *World, r *rand.Rand) error {
	b, release := w.hold(r)
	b.stop(syscall.SIGKILL)
	if err := syscall.Mount("oracle", w.disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		release()
		return fmt.Errorf("remount read-only: %w", err)
	}
	_, _ = b.start(ctx, time.Duration(2000+r.IntN(3000))*time.Millisecond) // it cannot become ready
	release()
	if err := syscall.Mount("oracle", w.disk, "tmpfs", syscall.MS_REMOUNT, ""); err != nil {
		return fmt.Errorf("remount: %w", err)
	}
	return w.waitTaken(ctx, 60*time.Second)
}
