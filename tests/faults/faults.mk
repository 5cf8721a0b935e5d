.PHONY: faults faults-address faults-removal faults-plays faults-lost faults-mismatch faults-jobs faults-cron faults-udp faults-units faults-groups faults-volumes faults-emulation

faults: setup ## the play killed before and after each step of a migration, on the lab that is up; FAULTS='--only ... --shard i/n'
	@python -m tests.faults.run $(FAULTS)

faults-address: setup ## the control plane host gets another address, and its own again, on the lab that is up
	@python -m tests.faults.address $(FAULTS)

faults-removal: setup ## a device with a disk and a moved app is taken out and brought in again, on the lab that is up
	@python -m tests.faults.removal

faults-plays: setup ## every other playbook killed again and again on its way, from bare hosts and back, on a new lab
	@python -m tests.faults.plays $(FAULTS)

faults-lost: setup ## a device is lost, the edge takes its apps over, the device comes back; on the lab that is up
	@python -m tests.faults.lost $(FAULTS)

faults-mismatch: setup ## a re-flashed device, a restored etcd, a deleted namespace: shown and refused; on the lab that is up
	@python -m tests.faults.mismatch

faults-jobs: setup ## jobs of a device run at the edge, once, also when the play is killed; on the lab that is up
	@python -m tests.faults.jobs

faults-cron: setup ## a cronjob of a device there and back, also by plays that are killed; on the lab that is up
	@python -m tests.faults.cron

faults-udp: setup ## an app that answers datagrams moves there and back, each of them answered; on the lab that is up
	@python -m tests.faults.datagrams

faults-units: setup ## a systemd service of a device there and back, by plays that are killed, too, then the device lost, then the edge; on the lab that is up
	@python -m tests.faults.units $(FAULTS)

faults-groups: setup ## two containers of a device that are one app, likewise; on the lab that is up
	@python -m tests.faults.groups $(FAULTS)

faults-volumes: setup ## an app whose data are on a volume of the device, likewise; on the lab that is up
	@python -m tests.faults.volumes $(FAULTS)

faults-emulation: setup ## an app for arm64 alone, emulated at the edge, and apps for both architectures, there and back; on the lab that is up
	@python -m tests.faults.emulation
