module lab/shim

go 1.21
