module lab/says

go 1.21
