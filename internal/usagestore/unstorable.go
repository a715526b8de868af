package usagestore

import "errors"

// ErrUnstorable is wrapped by what Writer.Add returns where it is the batch that is at fault, and trying again is of no use.
var ErrUnstorable = errors.New("the usage store refuses what is in the batch")
