# What OAR runs on a node before and after each job, without cgroups: the "cpuset" of a job is a plain file
# /dev/cpuset/PATH/NAME/tasks, to which oarsh and oarexec append their ids; "clean" ends what is listed there and below.
my $input = join "", <STDIN>;
my $job = eval $input;
exit 2 unless defined $job;
exit 0 unless defined $job->{name};
my $directory = "/dev/cpuset" . ($job->{cpuset_path} || "") . "/" . $job->{name};
# OAR 2.6 looks for a slice of systemd instead: where there is a place for those, the same file is found in it.
my $user = "oar-u" . getpwnam($job->{user});
my $slice = "/oar.slice/$user.slice/$user-j$job->{job_id}.slice";

sub children {
    my ($pid) = @_;
    my @found;
    for my $file (glob "/proc/$pid/task/*/children") {
        open(my $list, "<", $file) or next;
        push @found, split " ", (<$list> // "");
    }
    return @found;
}

if ($ARGV[0] eq "init") {
    system "mkdir", "-p", $directory;
    open(my $tasks, ">>", "$directory/tasks") or exit 3;
    close $tasks;
    chmod 0666, "$directory/tasks";
    if (-d "/oar.slice") {
        system "mkdir", "-p", $slice;
        symlink "$directory/tasks", "$slice/cgroup.procs";
    }
} elsif ($ARGV[0] eq "clean") {
    if (open(my $tasks, "<", "$directory/tasks")) {
        my @waiting = grep { /^\d+$/ && $_ > 1 && $_ != $$ } map { s/\s+//gr } <$tasks>;
        my %seen;
        while (@waiting) {
            my $pid = shift @waiting;
            push @waiting, children($pid) unless $seen{$pid}++;
        }
        # An id may have been given out again: only what still has the mark of this job is ended.
        for my $pid (keys %seen) {
            my $environment = `/usr/lib/oar/oardodo/oardodo cat /proc/$pid/environ 2>/dev/null`;
            next unless $environment =~ /OAR_JOB_?ID=$job->{job_id}\0/;
            system "/usr/lib/oar/oardodo/oardodo", "kill", "-9", $pid;
        }
    }
    unlink "$directory/tasks", "$slice/cgroup.procs";
    rmdir $directory;
    rmdir $slice;
}
exit 0;
