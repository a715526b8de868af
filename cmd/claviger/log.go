package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// setUpLogs makes the logger of the process, JSON lines to standard error, and gives it to the
// libraries, too.
func setUpLogs(level string) (logr.Logger, error) {
	zapLevel, err := parseLevel(level)
	if err != nil {
		return logr.Logger{}, err
	}
	log := zap.New(
		zap.WriteTo(os.Stderr),
		zap.Level(zapLevel),
		// An error is a sentence that says what to do; where in the program it was noticed says nothing.
		zap.StacktraceLevel(zapcore.PanicLevel),
		zap.JSONEncoder(func(c *zapcore.EncoderConfig) { c.EncodeTime = zapcore.RFC3339NanoTimeEncoder }),
	)
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	// Or client-go would find our logger in a context, and at high levels log whole requests and
	// answers with it: Secrets.
	klog.EnableContextualLogging(false)
	return log, nil
}

// parseLevel reads a level. Numbers are logr's verbosity, which zap counts downwards.
func parseLevel(level string) (zapcore.Level, error) {
	switch level {
	case "error":
		return zapcore.ErrorLevel, nil
	case "info":
		return zapcore.InfoLevel, nil
	case "debug":
		return zapcore.DebugLevel, nil
	}
	if n, err := strconv.ParseUint(level, 10, 7); err == nil && n > 0 {
		return zapcore.Level(-int8(n)), nil
	}
	return 0, fmt.Errorf("--log-level must be error, info, debug or a number from 1 to 127; it is %q", level)
}
