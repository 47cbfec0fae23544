//! Tells by a file's file system whether the file can be mapped and whether a read may hang.

use std::fs::File;

use rustix::fs::{FsWord, PROC_SUPER_MAGIC};

/// The devices seen so far, and their file systems.
#[derive(Default)]
pub struct Devices(Vec<(u64, FileSystem)>);

/// How files of a file system can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    Local,
    /// On the other side of a network or of another program. A read may hang, so a task of the pool must not make it.
    MayHang,
    /// Files are made up as they are read. They have contents that their metadata doesn't tell, and can't be mapped.
    Virtual,
}

impl FileSystem {
    /// Returns the kind of a file system by its number in `statfs` (Linux, `magic.h`). Some numbers have the uppermost
    /// of 32 bits set, and are negative if a word has no more bits.
    fn of(magic: FsWord) -> Self {
        const PROC: FsWord = PROC_SUPER_MAGIC;
        const SYS: u32 = 0x6265_6572;
        const AFS: u32 = 0x5346_414f;
        const CEPH: u32 = 0x00c3_6400;
        const CIFS: u32 = 0xff53_4d42;
        const CODA: u32 = 0x7375_7245;
        const FUSE: u32 = 0x6573_5546;
        const LUSTRE: u32 = 0x0bd0_0bd0;
        const NFS: u32 = 0x6969;
        const P9: u32 = 0x0102_1997;
        const SMB: u32 = 0x517b;
        const SMB2: u32 = 0xfe53_4d42;
        match magic as u32 {
            _ if magic == PROC => FileSystem::Virtual,
            SYS => FileSystem::Virtual,
            AFS | CEPH | CIFS | CODA | FUSE | LUSTRE | NFS | P9 | SMB | SMB2 => FileSystem::MayHang,
            _ => FileSystem::Local,
        }
    }
}

impl Devices {
    /// Returns the file system of a file on the device with this number.
    pub fn file_system(&mut self, file: &File, device: u64) -> FileSystem {
        if let Some((_, known)) = self.0.iter().find(|(seen, _)| *seen == device) {
            return *known;
        }
        let found = rustix::fs::fstatfs(file).map_or(FileSystem::Local, |found| FileSystem::of(found.f_type));
        self.0.push((device, found));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_by_number() {
        // The numbers that `stat -f -c %t` prints.
        for magic in [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x517b, 0x6573_5546, 0x0102_1997] {
            assert_eq!(FileSystem::of(magic), FileSystem::MayHang, "{magic:x}");
        }
        for magic in [0x9fa0, 0x6265_6572] {
            assert_eq!(FileSystem::of(magic), FileSystem::Virtual, "{magic:x}");
        }
        // ext, XFS, Btrfs, tmpfs, overlay, ZFS.
        for magic in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1] {
            assert_eq!(FileSystem::of(magic), FileSystem::Local, "{magic:x}");
        }
    }

    #[test]
    fn a_device_is_asked_once() {
        let mut devices = Devices::default();
        let proc = File::open("/proc/self/status").unwrap();
        assert_eq!(devices.file_system(&proc, 7), FileSystem::Virtual);
        let local = tempfile::tempfile().unwrap();
        assert_ne!(devices.file_system(&local, 8), FileSystem::Virtual);
        // What is known of a device holds for all of its files.
        assert_eq!(devices.file_system(&local, 7), FileSystem::Virtual);
    }
}
